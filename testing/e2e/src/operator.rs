//! The operator of the platform: how many of it there are.

use anyhow::{Context, Result};
use gloonet_api::OPERATOR_NAMESPACE;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::Scene;

const OPERATOR: &str = "gloonet-operator";

/// Replicas the operator's Deployment asks for.
pub async fn replicas(scene: &Scene) -> Result<i32> {
    let spec = deployments(scene).get(OPERATOR).await?.spec;
    spec.and_then(|spec| spec.replicas)
        .context("a number of replicas")
}

/// Asks for another number of them.
pub async fn scale(scene: &Scene, replicas: i32) -> Result<()> {
    let spec = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let scaled = deployments(scene)
        .patch(OPERATOR, &PatchParams::default(), &spec)
        .await;
    scaled
        .map(drop)
        .with_context(|| format!("scale {OPERATOR} to {replicas}"))
}

fn deployments(scene: &Scene) -> Api<Deployment> {
    Api::namespaced(scene.client.clone(), OPERATOR_NAMESPACE)
}

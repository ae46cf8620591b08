//! Tokens of ServiceAccounts, as pods have them.

use anyhow::{Context, Result};
use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{Pod, ServiceAccount},
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};

use crate::Scene;

/// A token bound to a pod, which carries the pod's node as a claim, or to nothing.
pub async fn token(
    client: &Client,
    namespace: &str,
    account: &str,
    pod: Option<&Pod>,
) -> Result<String> {
    let bound = pod.map(|pod| BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
    });
    let spec = TokenRequestSpec {
        bound_object_ref: bound,
        expiration_seconds: Some(600),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest {
        spec: Some(spec),
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let answer = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await?;
    answer
        .status
        .and_then(|s| s.token)
        .context("a TokenRequest without token")
}

/// The pod of a DaemonSet on a node, by the label its pods have.
pub async fn pod_on(scene: &Scene, namespace: &str, selector: &str, node: &str) -> Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(scene.client.clone(), namespace);
    let on_node = ListParams::default()
        .labels(selector)
        .fields(&format!("spec.nodeName={node}"));
    let found = pods
        .list(&on_node)
        .await?
        .items
        .into_iter()
        .find(|p| p.metadata.deletion_timestamp.is_none());
    found.with_context(|| format!("no pod {selector} on node {node}"))
}

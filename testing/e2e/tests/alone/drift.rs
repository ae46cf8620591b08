//! Hands in what the operator owns: corrected, and said.

use std::time::Duration;

use anyhow::{Context, Result};
use gloonet_e2e::{
    Scene, events, platform,
    wait::{Progress, until},
};
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::ConfigMap},
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

const CORRECTED: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_hand_edited_deployment_is_put_right_and_foreign_fields_stay() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let deployments: Api<Deployment> = Api::namespaced(scene.client.clone(), "kube-system");
    let before = deployments
        .get("cilium-operator")
        .await?
        .spec
        .context("a spec")?
        .replicas;
    let began = Timestamp::now();
    let edit =
        json!({"metadata": {"annotations": {"example.org/mine": "yes"}}, "spec": {"replicas": 0}});
    let by_hand = PatchParams {
        field_manager: Some("kubectl-edit".to_owned()),
        ..PatchParams::default()
    };
    deployments
        .patch("cilium-operator", &by_hand, &Patch::Merge(edit))
        .await?;
    until(
        "the number of replicas is right again",
        CORRECTED,
        async || {
            let now = deployments.get("cilium-operator").await?;
            let replicas = now.spec.and_then(|s| s.replicas);
            Ok(Progress::when(
                replicas == before,
                format!("{replicas:?} instead of {before:?}"),
            ))
        },
    )
    .await?;
    let expected = "Deployment kube-system/cilium-operator was changed by somebody else (kubectl-edit had changed .spec.replicas); restored";
    until("it is said who had changed what", CORRECTED, async || {
        let said = events::said(&scene, "DriftCorrected", began)?;
        Ok(Progress::when(
            said.iter().any(|note| note == expected),
            said.join("; "),
        ))
    })
    .await?;
    let annotations = deployments
        .get("cilium-operator")
        .await?
        .metadata
        .annotations
        .unwrap_or_default();
    assert_eq!(
        annotations.get("example.org/mine").map(String::as_str),
        Some("yes")
    );
    let gone = json!({"metadata": {"annotations": {"example.org/mine": null}}});
    deployments
        .patch("cilium-operator", &by_hand, &Patch::Merge(gone))
        .await?;
    platform::settled(&scene, platform::HEALED).await.map(drop)
}

#[tokio::test]
async fn a_hand_edited_configuration_is_put_right() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let made = platform::inventory(&scene).await?;
    let config = made
        .iter()
        .find(|m| m.kind == "ConfigMap" && m.component == "cilium-agent")
        .context("a ConfigMap")?;
    let maps: Api<ConfigMap> = Api::namespaced(
        scene.client.clone(),
        config.namespace.as_deref().context("a namespace")?,
    );
    let before = maps.get(&config.name).await?.data.context("data")?;
    let key = before.keys().next().context("a key")?;
    let edit = json!({"data": {key: "edited by hand"}});
    maps.patch(&config.name, &PatchParams::default(), &Patch::Merge(edit))
        .await?;
    until(&format!("{config} is right again"), CORRECTED, async || {
        let now = maps.get(&config.name).await?.data.unwrap_or_default();
        Ok(Progress::when(
            now == before,
            format!("{key}={:?}", now.get(key)),
        ))
    })
    .await?;
    platform::settled(&scene, platform::HEALED).await.map(drop)
}

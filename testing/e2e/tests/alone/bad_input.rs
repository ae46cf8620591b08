//! What a user can get wrong: each is refused in words that name the object and the cure, and nothing healthy is touched.

use std::time::Duration;

use anyhow::{Context, Result};
use gloonet_e2e::{
    Scene, platform,
    sentence::assert_says,
    wait::{Progress, until},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

const SAID: Duration = Duration::from_secs(30);

fn manifest(name: &str, spec: &Value) -> String {
    json!({"apiVersion": "gloonetwork.io/v1alpha1", "kind": "GlooNetwork", "metadata": {"name": name}, "spec": spec}).to_string()
}

/// Puts `wrong` into the specification, waits for the sentence, checks that everything stays healthy, and puts `right` back.
async fn refused(wrong: Value, right: Value, parts: &[&str]) -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let before = platform::pods(&scene).await?;
    platform::change(&scene, wrong).await?;
    let outcome = until(&format!("the status says {parts:?}"), SAID, async || {
        let status = platform::status(&scene).await?;
        let (degraded, message) = platform::condition(&status, "Degraded");
        let said = degraded == "True" && parts.iter().all(|part| message.contains(part));
        Ok(Progress::of(
            said.then_some(status),
            format!("Degraded={degraded}: {message}"),
        ))
    })
    .await;
    // Long enough for a mistaken change to begin.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = platform::pods(&scene).await;
    platform::change(&scene, right).await?;
    let status = outcome?;
    assert_eq!(
        platform::condition(&status, "Available").0,
        "True",
        "a refused specification made the platform unavailable"
    );
    assert_eq!(
        platform::disturbed(&before, &after?, &[]),
        Vec::<String>::new()
    );
    platform::settled(&scene, platform::HEALED).await?;
    Ok(())
}

#[tokio::test]
async fn a_second_gloo_network_is_refused() -> Result<()> {
    let scene = Scene::open().await?;
    let said = scene.kubectl_refused(
        &["create", "-f", "-"],
        &manifest("second", &json!({"clusterName": "lab"})),
    )?;
    assert_says(
        &said,
        &[
            "a cluster has one GlooNetwork and its name is default",
            "change that one",
        ],
    );
    Ok(())
}

#[tokio::test]
async fn an_unknown_field_is_named() -> Result<()> {
    let scene = Scene::open().await?;
    let spec = json!({"clusterName": "lab", "redis": {"colour": "red"}});
    let said = scene.kubectl_refused(
        &["create", "--validate=strict", "-f", "-"],
        &manifest("default", &spec),
    )?;
    assert_says(&said, &["unknown field", "spec.redis.colour"]);
    Ok(())
}

#[tokio::test]
async fn a_change_of_the_role_or_the_name_of_the_cluster_is_refused() -> Result<()> {
    let scene = Scene::open().await?;
    for (spec, field) in [
        (json!({"role": "Workload"}), "role"),
        (json!({"clusterName": "other"}), "clusterName"),
    ] {
        let error = platform::change(&scene, spec)
            .await
            .unwrap_err()
            .to_string();
        assert_says(
            &error,
            &[
                &format!("{field} cannot change"),
                "delete the GlooNetwork and create it anew",
            ],
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_range_of_the_pool_that_pods_live_in_cannot_be_taken_away() -> Result<()> {
    let scene = Scene::open().await?;
    let ipam = platform::get(&scene).await?.spec.cilium.ipam;
    let pool = |ranges: &[String]| json!({"cilium": {"ipam": {"clusterPoolIPv4CIDRs": ranges}}});
    refused(
        pool(&["10.50.0.0/16".to_owned()]),
        pool(&ipam.cluster_pool_ipv4_cidrs),
        &[
            "clusterPoolIPv4CIDRs",
            "worker-1 holds",
            "put the range it came from back",
        ],
    )
    .await
}

#[tokio::test]
async fn another_routing_mode_is_refused_while_nobody_has_planned_it() -> Result<()> {
    let mode = |mode: &str| json!({"cilium": {"routing": {"mode": mode}}});
    refused(
        mode("Native"),
        mode("Tunnel"),
        &[
            "cilium.routing.mode",
            "the network runs in mode Tunnel",
            "gloonetwork.io/confirm-routing-mode: Native",
        ],
    )
    .await
}

#[tokio::test]
async fn an_unknown_version_is_refused() -> Result<()> {
    let scene = Scene::open().await?;
    let right = platform::get(&scene).await?.spec.version;
    refused(
        json!({"version": "9.9.9"}),
        json!({"version": right}),
        &["version", "9.9.9"],
    )
    .await
}

#[tokio::test]
async fn an_external_redis_or_prometheus_without_address_is_refused() -> Result<()> {
    let scene = Scene::open().await?;
    for component in ["redis", "prometheus"] {
        let external = json!({component: {"mode": "External"}});
        let error = platform::change(&scene, external)
            .await
            .unwrap_err()
            .to_string();
        let cure = format!("set {component}.external.address");
        assert_says(&error, &[&format!("{component}.mode is External"), &cure]);
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_that_is_missing_or_lacks_a_key_is_named() -> Result<()> {
    let scene = Scene::open().await?;
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), "gloo-mesh");
    let wrong = json!({"redis": {"mode": "External",
        "external": {"address": "redis.example.org:6379", "credentialsSecret": "e2e-credentials"}}});
    let right = json!({"redis": {"mode": "Managed", "external": null}});
    refused(
        wrong.clone(),
        right.clone(),
        &["redis.external.credentialsSecret", "e2e-credentials"],
    )
    .await?;
    let secret = serde_json::from_value(
        json!({"metadata": {"name": "e2e-credentials"}, "stringData": {"user": "x"}}),
    )?;
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .context("make a Secret")?;
    let outcome = refused(wrong, right, &["e2e-credentials", "password"]).await;
    secrets
        .delete("e2e-credentials", &DeleteParams::default())
        .await?;
    outcome
}

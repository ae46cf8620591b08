//! Neither the platform's operator nor Cilium's runs. What needs none of them goes on: all but new identities and new podCIDRs.

use std::time::Duration;

use anyhow::{Context, Result};
use gloonet_e2e::{
    Scene, agent, operator, platform,
    policy::{dropped, open},
    stage::{HEARD, Stage, both},
};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

/// Time in which a policy counts.
const COUNTS: Duration = Duration::from_secs(10);

/// The platform's first: it would put the other one right, and does when it is back.
async fn take_away(scene: &Scene) -> Result<()> {
    operator::scale(scene, 0).await?;
    platform::ended(scene, "of the operator", |component| {
        component == "operator"
    })
    .await?;
    let api: Api<Deployment> = Api::namespaced(scene.client.clone(), cilium_api::names::NAMESPACE);
    let nobody = Patch::Merge(json!({"spec": {"replicas": 0}}));
    api.patch(
        cilium_api::names::OPERATOR,
        &PatchParams::default(),
        &nobody,
    )
    .await
    .context("scale cilium-operator to 0")?;
    platform::ended(scene, "of cilium-operator", |component| {
        component == "cilium-operator"
    })
    .await
}

/// An agent dies and comes back; a pod with labels that have an identity starts; a policy is written.
async fn go_on_without(scene: &Scene, stage: &Stage<'_>) -> Result<()> {
    let ground = stage.ground;
    agent::kill(scene, &stage.nodes[0])?
        .succeeded(scene)
        .await?;
    ground.begin("web-new", &stage.nodes[1]).await?;
    let new = ground.ready_within("web-new", HEARD).await?;
    let cells = [
        open(&stage.client, &new),
        dropped(&stage.stranger, &new),
        open(&stage.stranger, &stage.client),
    ];
    ground.holds("the new server is one", &cells).await?;
    let closed = "{podSelector: {matchLabels: {app: client}}, policyTypes: [Ingress]}";
    ground.network_policy("nobody", closed)?;
    let nobody = [dropped(&stage.stranger, &stage.client)];
    ground
        .holds_within(COUNTS, "nobody reaches the client", &nobody)
        .await
}

#[tokio::test]
async fn while_both_operators_are_away_agents_pods_and_policies_go_on() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let replicas = operator::replicas(&scene).await?;
    Stage::during(&scene, "no-operators", async |stage| {
        let mut outcome = take_away(&scene).await;
        if outcome.is_ok() {
            let lines = stage.lines().await?;
            let went_on = go_on_without(&scene, stage).await;
            outcome = both(went_on, lines.end());
        }
        let back = operator::scale(&scene, replicas).await;
        let settled = platform::settled(&scene, platform::HEALED).await;
        both(both(outcome, back), settled.map(drop))
    })
    .await
}

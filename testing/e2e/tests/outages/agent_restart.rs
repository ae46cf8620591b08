//! Agents restart while pods talk: nothing that runs breaks, nobody gets in who may not, and new pods start afterwards.

use std::time::Duration;

use anyhow::Result;
use cilium_api::names;
use gloonet_e2e::{
    Scene, objects, platform,
    stage::Stage,
    tokens,
    wait::{Progress, until},
};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;

/// Where agents pin what outlives them.
const PINS: &str = "/sys/fs/bpf/gloonet";

async fn replace_agent(scene: &Scene, node: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(scene.client.clone(), names::NAMESPACE);
    let old = tokens::pod_on(scene, names::NAMESPACE, names::AGENT_SELECTOR, node).await?;
    objects::delete_now(&pods, &old).await?;
    until(
        &format!("a new agent on {node} is ready"),
        Duration::from_mins(2),
        async || {
            let pod = tokens::pod_on(scene, names::NAMESPACE, names::AGENT_SELECTOR, node).await?;
            Ok(Progress::when(
                objects::is_ready(&pod) && pod.metadata.uid != old.metadata.uid,
                format!("{:?}", pod.status.and_then(|s| s.phase)),
            ))
        },
    )
    .await
}

/// Every agent goes, one after the other, and `before` happens to each node first.
async fn replace_all(
    scene: &Scene,
    stage: &Stage<'_>,
    before: impl Fn(&str) -> Result<()>,
) -> Result<()> {
    let lines = stage.lines().await?;
    for node in &stage.nodes {
        before(node)?;
        replace_agent(scene, node).await?;
    }
    lines.end()?;
    stage.is_whole("late").await
}

#[tokio::test]
async fn connections_live_on_and_strangers_stay_out_while_every_agent_is_killed() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    Stage::during(&scene, "restart", async |stage| {
        replace_all(&scene, stage, |_| Ok(())).await
    })
    .await
}

#[tokio::test]
async fn connections_and_policies_live_on_while_agents_fill_maps_of_another_layout() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    Stage::during(&scene, "layout", async |stage| {
        replace_all(&scene, stage, |node| {
            // To the next agent, what runs is of another release.
            let disown = format!("cd {PINS} && mv maps-v* maps-v0 && mv live-v* live-v0");
            scene.in_node(node, &["sh", "-c", &disown]).map(drop)
        })
        .await?;
        for node in &stage.nodes {
            let left = scene.in_node(node, &["ls", PINS])?;
            assert!(
                left.contains("live-v") && !left.contains("-v0"),
                "on {node} the old maps are still there: {left}"
            );
        }
        Ok(())
    })
    .await
}

//! The pod network between two nodes, when it carries nothing while every pod is well.

use std::time::Duration;

use anyhow::{Context, Result};
use gloonet_api::status::ComponentHealth;
use gloonet_e2e::{
    Scene, agent, platform,
    wait::{Progress, until},
};

/// Three attempts of five seconds, and a look of the operator.
const NOTICED: Duration = Duration::from_mins(1);

/// From one node nothing reaches another; both reach the API server, and their agents stay ready.
struct Blackhole<'a> {
    scene: &'a Scene,
    node: &'a str,
    other: String,
}

impl Blackhole<'_> {
    fn route(&self, action: &str) -> Result<String> {
        let command = ["ip", "route", action, "blackhole", &self.other];
        self.scene.in_node(self.node, &command)
    }
}

impl Drop for Blackhole<'_> {
    fn drop(&mut self) {
        // Where a test has failed there is nothing more to say.
        let _ = self.route("delete");
    }
}

/// All nodes at once, now; otherwise an agent looks every other minute.
fn probe(scene: &Scene, node: &str) -> Result<()> {
    agent::curl(scene, node, "gloonet/health/probe", &["--request", "PUT"]).map(drop)
}

#[tokio::test]
async fn nodes_that_do_not_reach_each_other_are_named_by_the_gate_until_they_do() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let workers = scene.workers().await?;
    let [near, far] = &workers[..] else {
        anyhow::bail!("two workers are needed: {workers:?}")
    };
    let other = scene.node_ip(far).await?;
    let hole = Blackhole {
        scene: &scene,
        node: near,
        other,
    };
    hole.route("add")?;
    let said = format!("node {near} does not reach node {far} on the pod network");
    until("the gate says which nodes", NOTICED, async || {
        probe(&scene, near)?;
        let status = platform::status(&scene).await?;
        let row = platform::row(&status, "cilium-agent").context("its row")?;
        let noticed = row.health == ComponentHealth::Degraded && row.message.contains(&said);
        Ok(Progress::when(noticed, row.message.clone()))
    })
    .await?;
    drop(hole);
    for node in [near, far] {
        probe(&scene, node)?;
    }
    platform::settled(&scene, platform::HEALED).await.map(drop)
}

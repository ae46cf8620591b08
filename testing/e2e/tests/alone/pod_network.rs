//! The pod network between two nodes, when it carries nothing while every pod is well.

use std::time::Duration;

use anyhow::{Context, Result};
use gloonet_api::status::ComponentHealth;
use gloonet_e2e::{
    Scene, agent, platform,
    wait::{Progress, until},
};
use serde_json::Value;

/// Three attempts of five seconds, and a look of the operator.
const NOTICED: Duration = Duration::from_mins(1);

/// From one node nothing reaches the address that another has on the pod network; all else goes on.
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

/// All nodes at once, now; otherwise an agent looks every other minute. What it found.
fn probe(scene: &Scene, node: &str) -> Result<Value> {
    let said = agent::curl(scene, node, "gloonet/health/probe", &["--request", "PUT"])?;
    serde_json::from_str(&said).context("JSON")
}

/// The address of a node on the pod network.
fn on_pod_network(found: &Value, node: &str) -> Result<String> {
    let mut nodes = found["nodes"].as_array().context("nodes")?.iter();
    let end = format!("/{node}");
    let is_it = |one: &&Value| {
        one["name"]
            .as_str()
            .is_some_and(|name| name.ends_with(&end))
    };
    let found = nodes.find(is_it).context("the node")?;
    let address = &found["health-endpoint"]["primary-address"]["ip"];
    address.as_str().map(str::to_owned).context("an address")
}

#[tokio::test]
async fn nodes_that_do_not_reach_each_other_are_named_by_the_gate_until_they_do() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let workers = scene.workers().await?;
    let [near, far, ..] = &workers[..] else {
        anyhow::bail!("two workers are needed: {workers:?}")
    };
    let other = on_pod_network(&probe(&scene, near)?, far)?;
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
    probe(&scene, near)?;
    platform::settled(&scene, platform::HEALED).await.map(drop)
}

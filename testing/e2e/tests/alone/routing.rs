//! Decision 22: the routing mode of a network that runs is changed, as somebody does who has planned it, and changed back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gloonet_api::{CONFIRM_ROUTING_MODE, cilium::RoutingMode};
use gloonet_e2e::{
    Scene, agent,
    lines::{Kind, Lines},
    platform,
    pods::HTTP,
    stage::{Stage, both},
    wire::{self, Way},
};
use gloonet_lab::Spot;
use serde_json::json;

/// Agents follow one after the other, and each soaks.
const FOLLOWED: Duration = Duration::from_mins(5);
/// How long the wire is watched, with a request in every part of it.
const WATCHED: Duration = Duration::from_secs(3);

/// Says that the mode is meant, changes it, and waits until every agent has followed.
async fn change(scene: &Scene, mode: RoutingMode) -> Result<()> {
    platform::annotate(scene, CONFIRM_ROUTING_MODE, Some(mode.as_str())).await?;
    let spec = json!({"cilium": {"routing": {"mode": mode.as_str()}}});
    platform::change(scene, spec).await?;
    platform::settled(scene, FOLLOWED).await.map(drop)
}

/// What the far node's device shows of the client's packets to the far server, while it asks. All of them must go one way.
async fn goes(scene: &Scene, stage: &Stage<'_>, wanted: Way) -> Result<()> {
    let ears = scene
        .lab
        .packets(&Spot::Node(stage.nodes[1].clone()), "eth0")?;
    let mut lines = Lines::default();
    let client = ("client", &Spot::Pod(stage.client.ip));
    let far = (stage.far.name.as_str(), stage.far.ip, HTTP);
    lines.open(scene, Kind::New, client, far)?;
    lines.begun().await?;
    let (mut native, mut tunnelled) = (0, 0);
    let end = Instant::now() + WATCHED;
    while Instant::now() < end {
        while let Some(frame) = ears.receive()? {
            match wire::way(&frame, stage.client.ip, stage.far.ip) {
                Some(Way::Native) => native += 1,
                Some(Way::Tunnel) => tunnelled += 1,
                None => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    lines.end()?;
    let right = match wanted {
        Way::Native => native > 0 && tunnelled == 0,
        Way::Tunnel => tunnelled > 0 && native == 0,
    };
    ensure!(
        right,
        "packets between nodes should go {wanted:?}: {native} went as they are, {tunnelled} through the tunnel"
    );
    Ok(())
}

/// The mode, and that everything holds in it.
async fn holds_in(scene: &Scene, stage: &Stage<'_>, mode: RoutingMode, late: &str) -> Result<()> {
    change(scene, mode).await?;
    let way = match mode {
        RoutingMode::Native => Way::Native,
        RoutingMode::Tunnel => Way::Tunnel,
    };
    goes(scene, stage, way).await?;
    stage.is_whole(late).await
}

/// There and back. Whoever may not ask may not ask in between either, when nodes are in different modes.
async fn there_and_back(scene: &Scene, stage: &Stage<'_>) -> Result<()> {
    goes(scene, stage, Way::Tunnel).await?;
    let mut lines = Lines::default();
    let stranger = ("stranger", &Spot::Pod(stage.stranger.ip));
    for server in [&stage.near, &stage.far] {
        let to = (server.name.as_str(), server.ip, HTTP);
        lines.open(scene, Kind::Closed, stranger, to)?;
    }
    lines.begun().await?;
    let there = holds_in(scene, stage, RoutingMode::Native, "late-native").await;
    // Whatever was found: the next test shall find the network as this one did.
    let back = holds_in(scene, stage, RoutingMode::Tunnel, "late-tunnel").await;
    both(both(there, back), lines.end())
}

#[tokio::test]
async fn a_planned_change_of_the_routing_mode_takes_pods_out_of_the_tunnel_and_back_into_it()
-> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    Stage::during(&scene, "routing", async |stage| {
        let outcome = there_and_back(&scene, stage).await;
        let planned = platform::annotate(&scene, CONFIRM_ROUTING_MODE, None).await;
        both(outcome, planned)
    })
    .await?;
    platform::settled(&scene, platform::HEALED).await?;
    agent::carry_what_runs(&scene, &scene.nodes().await?).await
}

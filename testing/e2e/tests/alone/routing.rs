//! The routing mode of a network that runs: a planned change ends well in both directions, and is seen on the wire.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result};
use cilium_api::names;
use gloonet_e2e::{
    Scene, platform,
    pods::{Playground, Talker},
    policy::{dropped, open},
};
use gloonet_lab::Spot;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(5);

/// What a frame between nodes carries from one pod to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The pods' packet itself.
    Native,
    /// VXLAN, with the pods' packet in it.
    Tunnel,
}

fn way(frame: &[u8], from: Ipv4Addr, to: Ipv4Addr) -> Option<Way> {
    const IPV4: usize = 14;
    /// Ethernet, IPv4, UDP and VXLAN of the tunnel, and the pods' Ethernet header.
    const INNER_IPV4: usize = IPV4 + 20 + 8 + 8 + 14;
    let is_theirs =
        |at: usize| frame.get(at + 12..at + 20) == Some(&[from.octets(), to.octets()].concat()[..]);
    let to_tunnel = frame.get(36..38) == Some(&names::TUNNEL_PORT.to_be_bytes()[..]);
    if is_theirs(IPV4) {
        Some(Way::Native)
    } else {
        (to_tunnel && is_theirs(INNER_IPV4)).then_some(Way::Tunnel)
    }
}

/// How a request of one pod arrives at the node of the other.
async fn seen(scene: &Scene, ground: &Playground<'_>, from: &Talker, to: &Talker) -> Result<Way> {
    let node = Spot::Node(to.node.clone());
    let address: Ipv4Addr = scene.node_ip(&to.node).await?.parse()?;
    let interfaces = scene.lab.interfaces(&node)?;
    let (device, _) = interfaces
        .iter()
        .find(|(_, interface)| interface.addresses.contains(&address))
        .context("the node's device")?;
    let ears = scene.lab.packets(&node, device)?;
    ground
        .ask_patiently(from, "http", &to.ip.to_string(), 8080, "hostname")
        .await?;
    let frame = ears.expect(PATIENCE, |frame| way(frame, from.ip, to.ip).is_some())?;
    frame
        .and_then(|frame| way(&frame, from.ip, to.ip))
        .context("the request was answered, and nothing of it came over the nodes' network")
}

/// Changes the mode as a plan does: the new mode confirmed by name.
async fn change(scene: &Scene, mode: &str) -> Result<()> {
    platform::annotate(scene, gloonet_api::CONFIRM_ROUTING_MODE, Some(mode)).await?;
    platform::change(scene, json!({"cilium": {"routing": {"mode": mode}}})).await?;
    // Every agent is replaced, one after the other, and what asks across nodes waits for both of them.
    platform::settled(scene, platform::HEALED * 2)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_confirmed_change_of_the_routing_mode_takes_every_pod_along_with_its_policies()
-> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "routing").await?;
    let web = ground.talker("web", &workers[0]).await?;
    let client = ground.talker("client", &workers[1]).await?;
    let stranger = ground.talker("stranger", &workers[1]).await?;
    ground.network_policy(
        "web",
        "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}",
    )?;
    let who = [
        open(&client, &web),
        dropped(&stranger, &web),
        open(&web, &client),
    ];
    let service = ground.service("web").await?.to_string();

    assert_eq!(seen(&scene, &ground, &client, &web).await?, Way::Tunnel);
    let outcome = async {
        change(&scene, "Native").await?;
        assert_eq!(seen(&scene, &ground, &client, &web).await?, Way::Native);
        ground.holds("the policy, untunnelled", &who).await?;
        ground
            .ask_patiently(&client, "http", &service, 80, "hostname")
            .await?;
        let late = ground.talker("web-late", &workers[1]).await?;
        ground
            .holds(
                "the policy, for a pod that started without a tunnel",
                &[open(&client, &late), dropped(&stranger, &late)],
            )
            .await
    }
    .await;
    change(&scene, "Tunnel").await?;
    platform::annotate(&scene, gloonet_api::CONFIRM_ROUTING_MODE, None).await?;
    outcome?;
    assert_eq!(seen(&scene, &ground, &client, &web).await?, Way::Tunnel);
    ground
        .holds("the policy, in the tunnel again", &who)
        .await?;
    ground.end().await
}

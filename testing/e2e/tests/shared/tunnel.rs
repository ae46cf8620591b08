//! Tests 4 and 5 of the security reference: nobody gets a packet into a pod under a foreign address.

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result};
use cilium_api::names;
use gloonet_e2e::{
    Scene,
    pods::{Playground, Talker},
    tokens,
    wait::{Progress, until},
};
use gloonet_lab::{Spot, frame, packet};

/// Destination port of what the tests forge; nobody else uses it.
const MARK: u16 = 40_404;
const PATIENCE: Duration = Duration::from_secs(3);

/// A victim on the first worker, a pod on the second, and where they run.
struct Stage<'a> {
    ground: Playground<'a>,
    scene: &'a Scene,
    victim: Talker,
    peer: Talker,
    nodes: [Ipv4Addr; 2],
}

impl<'a> Stage<'a> {
    async fn set(scene: &'a Scene, name: &str) -> Result<Self> {
        let workers = scene.workers().await?;
        let ground = Playground::start(scene, name).await?;
        let victim = ground.talker("victim", &workers[0]).await?;
        let peer = ground.talker("peer", &workers[1]).await?;
        ground
            .ask_patiently(&peer, "http", &victim.ip.to_string(), 8080, "hostname")
            .await?;
        let nodes = [
            scene.node_ip(&workers[0]).await?.parse()?,
            scene.node_ip(&workers[1]).await?.parse()?,
        ];
        Ok(Self {
            ground,
            scene,
            victim,
            peer,
            nodes,
        })
    }

    /// VXLAN with a datagram for the victim in it, which claims to come from `inner`.
    fn forged(&self, inner: Ipv4Addr) -> Vec<u8> {
        let to = SocketAddrV4::new(self.victim.ip, MARK);
        let datagram = frame::udp(SocketAddrV4::new(inner, MARK), to, b"forged");
        frame::vxlan(
            300,
            &frame::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], &datagram),
        )
    }

    /// Whether something sent by `send` reaches the victim.
    fn arrives(&self, send: impl Fn() -> Result<()>) -> Result<bool> {
        let ears = self.scene.lab.packets(&Spot::Pod(self.victim.ip), "eth0")?;
        send()?;
        let marked = |frame: &[u8]| frame.get(36..38) == Some(&MARK.to_be_bytes()[..]);
        Ok(ears.expect(PATIENCE, marked)?.is_some())
    }

    /// Sends a tunnel packet to the victim's node out of a place of the underlay.
    fn send_over_underlay(&self, spot: &Spot, outer: Ipv4Addr, inner: Ipv4Addr) -> Result<()> {
        let here = self.scene.lab.interfaces(spot)?;
        let (name, own) = here
            .iter()
            .find(|(_, i)| i.addresses.contains(&outer))
            .context("the sender's interface")?;
        let there = self
            .scene
            .lab
            .interfaces(&Spot::Node(self.victim.node.clone()))?;
        let target = there
            .values()
            .find(|i| i.addresses.contains(&self.nodes[0]))
            .and_then(|i| i.mac);
        let to = SocketAddrV4::new(self.nodes[0], names::TUNNEL_PORT);
        let packet = frame::udp(SocketAddrV4::new(outer, 50_000), to, &self.forged(inner));
        let frame = frame::ethernet(
            own.mac.context("a MAC")?,
            target.context("the node's MAC")?,
            &packet,
        );
        Ok(self.scene.lab.inject(spot, name, &frame)?)
    }
}

/// Packets the agent of a node has dropped, by all reasons whose name contains `reason`.
async fn drops(scene: &Scene, node: &str, reason: &str) -> Result<f64> {
    let agent = tokens::pod_on(scene, names::NAMESPACE, names::AGENT_SELECTOR, node).await?;
    let name = agent.metadata.name.context("a name")?;
    let path = format!(
        "/api/v1/namespaces/{}/pods/{name}:{}/proxy/metrics",
        names::NAMESPACE,
        names::AGENT_METRICS_PORT
    );
    let text = scene.kubectl(&["get", "--raw", &path])?;
    let counts = text
        .lines()
        .filter(|l| l.starts_with("cilium_drop_count_total{") && l.contains(reason));
    Ok(counts
        .filter_map(|l| l.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum())
}

#[tokio::test]
async fn a_pod_cannot_send_tunnel_packets_to_a_node() -> Result<()> {
    const REASON: &str = "Encapsulation traffic is prohibited";
    let scene = Scene::open().await?;
    let stage = Stage::set(&scene, "tunnel-pod").await?;
    let before = drops(&scene, &stage.peer.node, REASON).await?;
    let sender = scene.lab.network_of(&Spot::Pod(stage.peer.ip))?;
    let target = SocketAddrV4::new(stage.nodes[0], names::TUNNEL_PORT);
    let arrived = stage.arrives(|| {
        let sent = packet::within(&sender, || {
            UdpSocket::bind("0.0.0.0:0")?.send_to(&stage.forged(stage.peer.ip), target)
        });
        sent?.map(drop).context("send from the pod")
    })?;
    assert!(!arrived, "a pod's tunnel packet reached another pod");
    until(
        "the drop is counted under its own reason",
        Duration::from_secs(20),
        async || {
            let now = drops(&scene, &stage.peer.node, REASON).await?;
            Ok(Progress::when(
                now > before,
                format!("{now} after {before}"),
            ))
        },
    )
    .await?;
    stage.ground.end().await
}

#[tokio::test]
async fn a_tunnel_packet_passes_only_when_the_outer_node_owns_the_inner_address() -> Result<()> {
    let scene = Scene::open().await?;
    let stage = Stage::set(&scene, "tunnel-node").await?;
    let peer_node = Spot::Node(stage.peer.node.clone());
    let right =
        stage.arrives(|| stage.send_over_underlay(&peer_node, stage.nodes[1], stage.peer.ip))?;
    assert!(
        right,
        "the right node's packet did not arrive, so the others prove nothing"
    );
    let own =
        stage.arrives(|| stage.send_over_underlay(&peer_node, stage.nodes[1], stage.nodes[1]))?;
    assert!(own, "a node does not reach pods with its own address");

    let [a, b, c, _] = stage.nodes[0].octets();
    let outside = Ipv4Addr::new(a, b, c, 1);
    let stranger =
        stage.arrives(|| stage.send_over_underlay(&Spot::Outside, outside, stage.peer.ip))?;
    assert!(!stranger, "a host that is no node got a packet into a pod");
    for (inner, whose) in [
        (stage.victim.ip, "the victim itself"),
        (stage.nodes[0], "a node"),
        (Ipv4Addr::new(10, 244, 255, 7), "nobody"),
        (Ipv4Addr::new(192, 0, 2, 1), "the world"),
    ] {
        let arrived =
            stage.arrives(|| stage.send_over_underlay(&peer_node, stage.nodes[1], inner))?;
        assert!(
            !arrived,
            "{} sent a packet under the address of {whose}",
            stage.peer.node
        );
    }
    stage.ground.end().await
}

//! Serves made-up flows on a socket, for a look with the real `hubble`:
//!
//!     cargo run -p cilium-hubble --example flows -- /tmp/hubble.sock
//!     hubble --server unix:///tmp/hubble.sock observe --follow
//!
//! With `--measure` it says instead what recording an event costs.

use std::{
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use cilium_api::HubbleMetric;
use cilium_hubble::{
    event::{Direction, Kind, Packet, PacketEvent},
    names::{Endpoint, Names, Node, Policy, ServiceName, Workload},
    observer::{self, Config, Writer},
    ring::Capacity,
    server::Server,
};

/// As the operator sets them when nothing else is said.
const METRICS: [&str; 4] = [
    "drop:labelsContext=source_namespace,destination_namespace",
    "flow:requests-only;workloads-only;labelsContext=source_namespace,source_workload,destination_namespace,destination_workload",
    "icmp:labelsContext=source_namespace,destination_namespace",
    "tcp:labelsContext=source_namespace,destination_namespace",
];
const CLIENT: [u8; 4] = [10, 0, 1, 3];
const WEB: [u8; 4] = [10, 0, 1, 2];

/// Two pods.
struct Pods([(IpAddr, Arc<Endpoint>); 2]);

impl Names for Pods {
    fn endpoint(&self, address: IpAddr) -> Option<Arc<Endpoint>> {
        self.0
            .iter()
            .find(|(has, _)| *has == address)
            .map(|(_, endpoint)| Arc::clone(endpoint))
    }

    fn identity_labels(&self, identity: u32) -> Option<Arc<[String]>> {
        let name = match identity {
            2001 => "web",
            2002 => "client",
            _ => return None,
        };
        Some([format!("k8s:app={name}")].into())
    }

    fn service(&self, address: IpAddr, port: u16, _protocol: u8) -> Option<ServiceName> {
        let is_web = address == IpAddr::from(WEB) && port == 80;
        is_web.then(|| ServiceName {
            namespace: "default".to_owned(),
            name: "web".to_owned(),
        })
    }

    fn policies(&self, _cookie: u32) -> Vec<Policy> {
        vec![Policy {
            kind: "CiliumNetworkPolicy".to_owned(),
            namespace: "default".to_owned(),
            name: "web-from-clients".to_owned(),
            labels: Vec::new(),
            revision: 1,
        }]
    }

    fn interface(&self, index: u32) -> Option<String> {
        Some(format!("lxc{index}"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "/tmp/hubble.sock".to_owned());
    let node = Node {
        cluster: "default".to_owned(),
        name: "worker-1".to_owned(),
        address: Some([192, 0, 2, 1].into()),
    };
    let config = Config {
        capacity: Capacity::default(),
        node: node.clone(),
        node_labels: Vec::new(),
        version: "1.20.2".to_owned(),
        metrics: HubbleMetric::list(METRICS)?,
    };
    let (observer, mut writer) = observer::new(config, Arc::new(pods()));
    if argument == "--measure" {
        measure(&mut writer);
        return Ok(());
    }
    let (_nodes, peers) = tokio::sync::watch::channel(vec![node]);
    let server = Server::new(observer, peers, 4244);
    tokio::spawn(async move {
        loop {
            record(&mut writer);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    server.serve_unix(Path::new(&argument)).await?;
    Ok(())
}

fn pods() -> Pods {
    let pod = |id, identity, namespace: &str, pod: &str, workload: &str| {
        Arc::new(Endpoint {
            id,
            identity,
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            labels: Vec::new(),
            workloads: vec![Workload {
                kind: "Deployment".to_owned(),
                name: workload.to_owned(),
            }],
        })
    };
    Pods([
        (WEB.into(), pod(11, 2001, "default", "web-1", "web")),
        (CLIENT.into(), pod(12, 2002, "shop", "client-1", "client")),
    ])
}

fn record(writer: &mut Writer) {
    let request = tcp(CLIENT, WEB, 40000, 80, 0x02);
    let answer = tcp(WEB, CLIENT, 80, 40000, 0x12);
    writer.packet(event(
        Kind::PolicyVerdict {
            verdict: 0,
            match_type: 2,
        },
        None,
        &request,
    ));
    writer.packet(event(Kind::Trace { point: 0 }, Some(false), &request));
    writer.packet(event(Kind::Trace { point: 5 }, Some(true), &answer));
    writer.packet(event(
        Kind::PolicyVerdict {
            verdict: -133,
            match_type: 0,
        },
        None,
        &tcp(CLIENT, WEB, 40001, 22, 0x02),
    ));
    writer.packet(event(
        Kind::Drop { reason: 133 },
        None,
        &tcp(CLIENT, WEB, 40001, 22, 0x02),
    ));
}

fn event(kind: Kind, is_reply: Option<bool>, packet: &[u8]) -> PacketEvent {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    PacketEvent {
        time: i64::try_from(now.as_nanos()).unwrap_or_default(),
        kind,
        direction: Direction::Ingress,
        endpoint_id: 11,
        source_identity: 0,
        destination_identity: 0,
        cookie: 1,
        is_reply,
        ifindex: 7,
        length: 54,
        packet: Packet::new(packet),
    }
}

fn tcp(source: [u8; 4], destination: [u8; 4], from: u16, to: u16, flags: u8) -> Vec<u8> {
    let mut packet = vec![
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0,
    ];
    packet.extend(source);
    packet.extend(destination);
    packet.extend(from.to_be_bytes());
    packet.extend(to.to_be_bytes());
    packet.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
    packet
}

fn measure(writer: &mut Writer) {
    const EVENTS: u32 = 1_000_000;
    let event = event(
        Kind::Trace { point: 0 },
        Some(false),
        &tcp(CLIENT, WEB, 40000, 80, 0x02),
    );
    for round in 1..=3 {
        let started = Instant::now();
        for _ in 0..EVENTS {
            writer.packet(event);
        }
        println!(
            "round {round}: {} ns per event",
            (started.elapsed() / EVENTS).as_nanos()
        );
    }
}

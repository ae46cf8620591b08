//! Three nodes with made-up flows and a relay before them, on loopback and without TLS, for a look with the real `hubble`:
//!
//!     cargo run -p hubble-relay --example cluster
//!     hubble --server 127.0.0.1:4245 observe --follow

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use cilium_hubble::{
    event::PacketEvent,
    fixture::{self, Cluster},
    names::Node,
    observer::{self, Config, Writer},
    ring::Capacity,
    server::Server,
};
use clap::Parser;
use hubble_relay::{args::Args, run};
use tokio::sync::watch;

const PORT: u16 = 4244;
const PAUSE: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let nodes: Vec<Node> = (1..=3).map(node).collect();
    let peers = watch::Sender::new(nodes.clone());
    let mut writers = Vec::new();
    for node in nodes {
        let address = SocketAddr::new(node.address.ok_or("no address")?, PORT);
        let config = Config {
            capacity: Capacity::default(),
            node,
            ..fixture::config(15)
        };
        let (observer, writer) = observer::new(config, Arc::new(Cluster));
        writers.push(writer);
        let server = Server::new(observer, peers.subscribe(), PORT);
        tokio::spawn(async move {
            if let Err(error) = server.serve_tcp(address, None).await {
                eprintln!("{error}");
            }
        });
    }
    tokio::spawn(make_flows(writers));
    let relay = [
        "hubble-relay",
        "--peer-service=127.0.0.1:4244",
        "--listen-address=127.0.0.1:4245",
        "--disable-client-tls",
        "--disable-server-tls",
        "--log-format=text",
    ];
    let args = Args::parse_from(relay);
    args.logging.start();
    Ok(run::run(args).await?)
}

async fn make_flows(mut writers: Vec<Writer>) {
    loop {
        for writer in &mut writers {
            writer.packet(PacketEvent {
                time: now(),
                ..fixture::at(0)
            });
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn node(number: u8) -> Node {
    Node {
        cluster: "default".to_owned(),
        name: format!("worker-{number}"),
        address: Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, number))),
    }
}

/// Nanoseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX)
}

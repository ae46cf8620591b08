//! `./dev bench path`: what a packet costs between pods, beside the same path without any policy code.
//!
//! The references are made beside the pods, on the same nodes: two namespaces joined by a veth pair on one node, and on two
//! nodes what our network does, by the kernel alone: for a tunnel namespaces behind a bridge with its VXLAN, for native
//! routing namespaces that the nodes forward for. Rounds alternate, so that what else the machine does
//! falls on both; the ratio of the medians is the result. Client and server have a processor each.

pub mod pods;
pub mod policies;
pub mod programs;
pub mod reference;
pub mod routing;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use gloonet_api::cilium::RoutingMode;
use serde_json::json;

use super::node::{OF_THE_CLIENT, Place, Server};
use super::peer::{Kind, Sample};
use super::statistics::median;
use crate::lab::Lab;
use crate::process;

const PORT: u16 = 5201;

/// Arguments of `./dev bench path`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Rounds; each measures ours and the reference once, for each kind of traffic.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of traffic per measurement.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Numbers of policies for the pods, measured one after the other; each is also compared with the first.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0,100,1000",
        value_name = "N,N…"
    )]
    policies: Vec<u32>,
    /// Routing modes (Tunnel, Native), measured one after the other; the network is changed and, at the end, changed back.
    /// Without, the one it runs in.
    #[arg(long, value_delimiter = ',', value_name = "MODE,MODE…", value_parser = mode)]
    routing: Vec<RoutingMode>,
}

fn mode(text: &str) -> Result<RoutingMode, String> {
    serde_json::from_value(json!(text)).map_err(|_| "Tunnel or Native".to_owned())
}

/// From where, to where, and the address to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub from: Place,
    pub to: Place,
    pub address: Ipv4Addr,
}

/// Medians over the rounds.
#[derive(Clone, Copy, Debug)]
struct Pair {
    ours: f64,
    reference: f64,
}

impl Pair {
    fn ratio(self) -> f64 {
        self.ours / self.reference
    }
}

/// Measures both routes and prints ratios.
pub fn run(arguments: &Arguments) -> Result<()> {
    let lab = Lab::from_environment()?;
    programs::print()?;
    let routing = routing::Routing::of(&lab)?;
    let found = [routing.found()];
    let modes: &[RoutingMode] = if arguments.routing.is_empty() {
        &found
    } else {
        &arguments.routing
    };
    for mode in modes {
        routing.change(*mode)?;
        in_mode(&lab, *mode, arguments)?;
    }
    Ok(())
}

/// With pods of their own: a link keeps the MTU of the mode that its pod started in.
fn in_mode(lab: &Lab, mode: RoutingMode, arguments: &Arguments) -> Result<()> {
    let pods = pods::Pods::on_two_workers(lab)?;
    let references = reference::References::make(lab, pods.nodes()?)?;
    println!("routing mode {}", mode.as_str());
    println!(
        "{:<10} {:<10} {:<8} {:>14} {:>14} {:>8} {:>16}",
        "policies", "route", "traffic", "ours", "reference", "ratio", "ratio to first"
    );
    let between_nodes = match mode {
        RoutingMode::Tunnel => references.vxlan(),
        RoutingMode::Native => references.forwarded(),
    };
    let mut first: BTreeMap<(&str, Kind), f64> = BTreeMap::new();
    for count in &arguments.policies {
        policies::exactly(lab, pods.nodes()?, *count)?;
        for (name, ours, reference) in [
            ("one node", pods.same_node()?, references.veth()),
            ("two nodes", pods.two_nodes()?, between_nodes.clone()),
        ] {
            for (kind, pair) in compare(lab, [&ours, &reference], arguments)? {
                let first = *first.entry((name, kind)).or_insert(pair.ratio());
                print(*count, name, (kind, pair), pair.ratio() / first);
            }
        }
    }
    println!();
    Ok(())
}

fn print(count: u32, route: &str, (kind, pair): (Kind, Pair), flatness: f64) {
    let (word, unit) = match kind {
        Kind::Rr => ("rr", "µs"),
        Kind::Crr => ("crr", "µs"),
        Kind::Stream => ("stream", "Gbit/s"),
    };
    let Pair { ours, reference } = pair;
    println!(
        "{count:<10} {route:<10} {word:<8} {ours:>7.2} {unit:<6} {reference:>7.2} {unit:<6} {:>8.2} {flatness:>16.2}",
        pair.ratio()
    );
}

fn compare(lab: &Lab, routes: [&Route; 2], arguments: &Arguments) -> Result<Vec<(Kind, Pair)>> {
    let _servers = [
        Server::apart(lab, &routes[0].to, PORT)?,
        Server::apart(lab, &routes[1].to, PORT)?,
    ];
    sleep(Duration::from_millis(500));
    let mut pairs = Vec::new();
    for kind in [Kind::Rr, Kind::Crr, Kind::Stream] {
        let mut values: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..arguments.rounds {
            for (route, values) in routes.iter().zip(&mut values) {
                let sample = measure(lab, route, kind, arguments.seconds)?;
                values.push(if kind == Kind::Stream {
                    sample.gigabits
                } else {
                    sample.median_us
                });
            }
        }
        let (ours, reference) = (median(&values[0]), median(&values[1]));
        pairs.push((kind, Pair { ours, reference }));
    }
    Ok(pairs)
}

fn measure(lab: &Lab, route: &Route, kind: Kind, seconds: f64) -> Result<Sample> {
    let kind = match kind {
        Kind::Rr => "rr",
        Kind::Crr => "crr",
        Kind::Stream => "stream",
    };
    let (address, port, seconds) = (
        route.address.to_string(),
        PORT.to_string(),
        seconds.to_string(),
    );
    let [on, processor] = OF_THE_CLIENT;
    let arguments = [
        "--port",
        &port,
        "--to",
        &address,
        "--kind",
        kind,
        "--seconds",
        &seconds,
        on,
        processor,
    ];
    let printed = process::output(&mut route.from.peer(lab, &arguments)?)?;
    serde_json::from_str(printed.trim()).context("read a sample")
}

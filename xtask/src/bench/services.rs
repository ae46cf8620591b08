//! `./dev bench services`: what a Service costs a connection, beside the same connection straight to the pod behind it.
//!
//! Few Services and many are measured one after the other: what a connection costs must not depend on how many there are. Then the time
//! from the write of an EndpointSlice to the first datagrams that meet it.

mod crowd;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use self::crowd::Crowd;
use super::node::{Place, Server};
use super::path::pods::{NAMESPACE, Pods};
use super::peer::Sample;
use super::peer::watch::micros;
use super::policy::{connect, row};
use super::statistics::{median, percentile};
use super::watcher::{Watcher, millis};
use crate::lab::Lab;
use crate::process;

const PORT: u16 = 5204;
/// The Service that is measured; its endpoint is written here, so that a pod that only idles is one.
const NAME: &str = "measured";
const AIM_MS: f64 = 100.0;

/// Arguments of `./dev bench services`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Numbers of Services beside the measured one, one after the other; each is also compared with the first.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "10,1000,10000",
        value_name = "N,N…"
    )]
    services: Vec<u32>,
    /// Rounds; each measures every way once.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of traffic per measurement.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Writes of an EndpointSlice, with each number of Services.
    #[arg(long, default_value_t = 50)]
    changes: usize,
}

/// A way to the pod: straight, through the Service at the socket, through it packet by packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Straight,
    Socket,
    Packets,
}

impl Way {
    const ALL: [Self; 3] = [Self::Straight, Self::Socket, Self::Packets];

    fn name(self) -> &'static str {
        match self {
            Self::Straight => "straight to the pod",
            Self::Socket => "at the socket",
            Self::Packets => "packet by packet",
        }
    }
}

/// What is measured between.
struct Ground {
    from: Place,
    pod: Ipv4Addr,
    service: Ipv4Addr,
}

/// Measures and prints two tables.
pub fn run(arguments: &Arguments) -> Result<()> {
    let lab = Lab::from_environment()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    runtime.block_on(on_cluster(&lab, arguments))
}

async fn on_cluster(lab: &Lab, arguments: &Arguments) -> Result<()> {
    let client = connect(lab).await?;
    let crowd = Crowd::new(&client);
    crowd.disperse().await?;
    let pods = Pods::on_two_workers(lab)?;
    let route = pods.two_nodes()?;
    let _server = Server::start(lab, &route.to, PORT)?;
    lab.hand_over("apply", &objects(route.address))?;
    let found = lab.get(&["service", NAME, "--namespace", NAMESPACE])?;
    let service = found["spec"]["clusterIP"].as_str();
    let ground = Ground {
        from: route.from,
        pod: route.address,
        service: service.context("a Service without address")?.parse()?,
    };
    let measured = measure_all(lab, &client, &crowd, (&ground, arguments)).await;
    let dispersed = crowd.disperse().await;
    measured.and(dispersed)
}

fn objects(endpoint: Ipv4Addr) -> Vec<serde_json::Value> {
    let port = |protocol: &str| json!({"name": protocol.to_lowercase(), "protocol": protocol, "port": PORT});
    let ports = [port("TCP"), port("UDP")];
    vec![
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": {"ports": ports},
        }),
        slice(Some(endpoint)),
    ]
}

fn slice(endpoint: Option<Ipv4Addr>) -> serde_json::Value {
    let port = |protocol: &str| json!({"name": protocol.to_lowercase(), "protocol": protocol, "port": PORT});
    let endpoints: Vec<_> = (endpoint.into_iter())
        .map(|ip| json!({"addresses": [ip], "conditions": {"ready": true}}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": NAME, "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": NAME},
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [port("TCP"), port("UDP")],
    })
}

async fn measure_all(
    lab: &Lab,
    client: &kube::Client,
    crowd: &Crowd<'_>,
    (ground, arguments): (&Ground, &Arguments),
) -> Result<()> {
    let mut first: BTreeMap<Way, f64> = BTreeMap::new();
    for count in &arguments.services {
        crowd.gather(*count, ground.pod).await?;
        println!(
            "{:<46} {:>10} {:>10} {:>8} {:>16}",
            format!("a connection, among {count} Services"),
            "median",
            "p99",
            "ratio",
            "ratio to first"
        );
        let samples = connections(lab, ground, arguments)?;
        let straight = samples[&Way::Straight].0;
        for (way, (middle, late)) in samples {
            let first = *first.entry(way).or_insert(middle);
            println!(
                "{:<46} {middle:>7.1} µs {late:>7.1} µs {:>8.2} {:>16.2}",
                format!("  {}", way.name()),
                straight / middle,
                middle / first
            );
        }
        changes(lab, client, ground, arguments.changes).await?;
    }
    Ok(())
}

/// Medians of the rounds' medians and 99th percentiles. Rounds alternate, so that what else the machine does falls on all ways.
fn connections(
    lab: &Lab,
    ground: &Ground,
    arguments: &Arguments,
) -> Result<BTreeMap<Way, (f64, f64)>> {
    let mut samples: BTreeMap<Way, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for _ in 0..arguments.rounds {
        for way in Way::ALL {
            let sample = connect_often(lab, ground, way, arguments.seconds)?;
            let (middles, lates) = samples.entry(way).or_default();
            middles.push(sample.median_us);
            lates.push(sample.p99_us);
        }
    }
    Ok(samples
        .into_iter()
        .map(|(way, (middles, lates))| (way, (median(&middles), median(&lates))))
        .collect())
}

fn connect_often(lab: &Lab, ground: &Ground, way: Way, seconds: f64) -> Result<Sample> {
    let to = match way {
        Way::Straight => ground.pod,
        Way::Socket | Way::Packets => ground.service,
    };
    let (port, to, seconds) = (PORT.to_string(), to.to_string(), seconds.to_string());
    let mut words = vec!["--port", &port, "--to", &to, "--kind", "crr", "--seconds"];
    words.push(&seconds);
    // The reference is of a pod's process, too: its cgroup has the same share of the processors.
    if way != Way::Packets {
        words.push("--in-pod");
    }
    let printed = process::output(&mut ground.from.peer(lab, &words)?)?;
    serde_json::from_str(printed.trim()).context("read a sample")
}

/// From the write of the slice to the datapath of the client's node, measured by datagrams to the Service.
async fn changes(lab: &Lab, client: &kube::Client, ground: &Ground, changes: usize) -> Result<()> {
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), NAMESPACE);
    let mut watcher = Watcher::start(lab, &ground.from, PORT, &[ground.service])?;
    watcher.wait(true).context("before the first change")?;
    let mut times: BTreeMap<bool, Vec<f64>> = BTreeMap::new();
    for number in 0..changes {
        let appears = number % 2 == 1;
        let began = micros();
        let slice = slice(appears.then_some(ground.pod));
        let by = PatchParams::apply("gloonet-bench").force();
        slices
            .patch(NAME, &by, &Patch::Apply(slice))
            .await
            .context("apply the slice")?;
        let at = watcher.wait(appears)?;
        times
            .entry(appears)
            .or_default()
            .push(millis(at.saturating_sub(began)));
        sleep(Duration::from_millis(20));
    }
    println!(
        "{:<58} {:>10} {:>10} {:>8}",
        "from a slice to the datapath", "ours", "aim", "ratio"
    );
    for (appears, times) in &times {
        let what = if *appears { "appears" } else { "vanishes" };
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            let what = format!("  the endpoint {what}, {name}");
            row(&what, percentile(times, part), AIM_MS, "ms");
        }
    }
    Ok(())
}

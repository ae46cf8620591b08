//! `./dev bench services`: what a Service costs a connection, beside the same connection straight to what answers, with us and with
//! kube-proxy.
//!
//! Few Services and many are measured one after the other: what a connection costs must not depend on how many there are. Then the time
//! from the write of an EndpointSlice to the first datagrams that meet it.

mod changes;
pub(in crate::bench) mod crowd;
mod kube_proxy;
mod ways;

use std::collections::BTreeMap;

use anyhow::Result;

use self::changes::Times;
use self::crowd::Crowd;
use self::kube_proxy::KubeProxy;
use self::ways::{Ground, Way};
use super::api::{self, connect};
use super::node::Server;
use super::path::pods::Pods;
use super::service::Service;
use super::statistics::percentile;
use crate::lab::Lab;

/// The Service that is measured.
const MEASURED: Service = Service {
    name: "measured",
    port: 5204,
    node_port: None,
};

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
    /// Leave out kube-proxy, which takes a cluster of its own.
    #[arg(long)]
    no_peer: bool,
}

/// Measures and prints two tables for each number of Services.
pub fn run(arguments: &Arguments) -> Result<()> {
    api::on_cluster(async |lab, client| on_clusters(lab, client, arguments).await)
}

async fn on_clusters(lab: &Lab, client: kube::Client, arguments: &Arguments) -> Result<()> {
    let crowd = Crowd::new(&client);
    crowd.disperse().await?;
    let measured = api::interruptible(on_grounds(lab, &client, arguments)).await;
    measured.and(crowd.disperse().await)
}

async fn on_grounds(lab: &Lab, client: &kube::Client, arguments: &Arguments) -> Result<()> {
    let pods = Pods::on_two_workers(lab)?;
    let route = pods.two_nodes()?;
    let _server = Server::apart(lab, &route.to, MEASURED.port)?;
    let mut grounds = vec![Ground {
        service: MEASURED.publish(lab, route.address)?,
        lab: lab.clone(),
        client: client.clone(),
        from: route.from,
        endpoint: route.address,
        ways: Way::OURS,
    }];
    if arguments.no_peer {
        return measure_all(&grounds, arguments).await;
    }
    let peer = KubeProxy::beside(lab)?;
    let endpoint = peer.lab().node_ip(&peer.server)?;
    let _peers = Server::apart(peer.lab(), &peer.to(), MEASURED.port)?;
    grounds.push(Ground {
        service: MEASURED.publish(peer.lab(), endpoint)?,
        lab: peer.lab().clone(),
        client: connect(peer.lab()).await?,
        from: peer.from(),
        endpoint,
        ways: Way::PEERS,
    });
    measure_all(&grounds, arguments).await
}

async fn measure_all(grounds: &[Ground], arguments: &Arguments) -> Result<()> {
    grounds.iter().try_for_each(changes::await_answer)?;
    let mut first: BTreeMap<Way, f64> = BTreeMap::new();
    for count in &arguments.services {
        for ground in grounds {
            let crowd = Crowd::new(&ground.client);
            crowd.gather(*count, ground.endpoint).await?;
        }
        for ground in grounds {
            changes::catch_up(ground).await?;
        }
        let costs = ways::connections(grounds, (arguments.rounds, arguments.seconds))?;
        print_costs(*count, &costs, &mut first);
        let mut times = Vec::new();
        for ground in grounds {
            times.push(changes::measure(ground, arguments.changes).await?);
        }
        print_times(&times);
    }
    Ok(())
}

/// Ratios are of the reference to the figure, the greater the better, but for the last, of the figure to the one among the fewest
/// Services.
fn print_costs(count: u32, costs: &BTreeMap<Way, ways::Cost>, first: &mut BTreeMap<Way, f64>) {
    println!(
        "{:<46} {:>10} {:>10} {:>9} {:>9}",
        format!("a connection, among {count} Services"),
        "median",
        "p99",
        "straight",
        "to first"
    );
    for (way, (middle, late)) in costs {
        let straight = costs.get(&way.straight()).map_or(*middle, |cost| cost.0);
        let first = *first.entry(*way).or_insert(*middle);
        println!(
            "{:<46} {middle:>7.1} µs {late:>7.1} µs {:>9.2} {:>9.2}",
            way.name(),
            straight / middle,
            middle / first
        );
    }
}

/// Ours, and kube-proxy's where it was measured.
fn print_times(times: &[Times]) {
    println!(
        "{:<46} {:>10} {:>10} {:>9}",
        "from a slice to the datapath", "ours", "kube-proxy", "ratio"
    );
    for (appears, what) in [(true, "appears"), (false, "vanishes")] {
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            let figures = times.iter().filter_map(|times| times.get(&appears));
            let figures: Vec<f64> = figures.map(|times| percentile(times, part)).collect();
            let what = format!("  the endpoint {what}, {name}");
            match figures[..] {
                [ours, peers] => println!(
                    "{what:<46} {ours:>7.1} ms {peers:>7.1} ms {:>9.2}",
                    peers / ours
                ),
                [ours] => println!("{what:<46} {ours:>7.1} ms"),
                _ => {}
            }
        }
    }
}

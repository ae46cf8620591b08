//! `./dev bench NAME`: measurements beside a reference in the same run, because numbers of one machine mean little alone.

pub mod api;
pub mod cni;
pub mod disrupt;
pub mod gloo;
pub mod metrics;
pub mod node;
pub mod objects;
pub mod operator;
pub mod path;
pub mod peer;
pub mod policy;
pub mod service;
pub mod services;
pub mod start;
pub mod statistics;
pub mod watcher;

use anyhow::Result;

/// Arguments of `./dev bench`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    name: Name,
}

#[derive(Debug, clap::Subcommand)]
enum Name {
    /// Time to Available by component, then memory, CPU, requests and writes of the idle operator.
    Operator(operator::Arguments),
    /// ADD and DEL of our plugin and of bridge + host-local.
    Cni(cni::Arguments),
    /// Request/response, connect/request/response and stream between pods, beside plain veth and plain VXLAN.
    Path(path::Arguments),
    /// The management server with 100 clusters: time to warmed, memory, latency of a change, all of them back at once.
    Relay(gloo::Arguments),
    /// The translation of 10, 100 and 1,000 workspaces: from scratch, and one change.
    Translate(gloo::Arguments),
    /// All insights of large clusters: time of a run beside reading its input, memory.
    Insights(gloo::Arguments),
    /// Log records through collector, gateway and redis-sink into Redis, beside a collector that throws away; nothing lost while
    /// Redis or the gateway is away.
    Logs(gloo::Arguments),
    /// What traffic notices of agents that are killed, upgraded and rolled back: nothing; and of agents that keep nothing.
    Disrupt(disrupt::Arguments),
    /// How fast a policy holds on every node, and what 10,000 identities with 200 policies cost.
    Policy(policy::Arguments),
    /// How long an agent takes from its first instruction to serving, and its memory, with 100 pods, 10,000 identities and 1,000 Services.
    Start(start::Arguments),
    /// Connections through a Service beside those straight to its pod, among few and many Services; and how fast a change holds.
    Services(services::Arguments),
    /// One end of a measured connection; the others start it.
    #[command(hide = true)]
    Peer(peer::Arguments),
}

/// Runs one measurement; those of the data plane and the operator need the cluster that is up.
pub fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.name {
        Name::Operator(arguments) => operator::run(arguments),
        Name::Cni(arguments) => cni::run(arguments),
        Name::Path(arguments) => path::run(arguments),
        Name::Relay(arguments) => gloo::run("relay", arguments),
        Name::Translate(arguments) => gloo::run("translate", arguments),
        Name::Insights(arguments) => gloo::run("insights", arguments),
        Name::Logs(arguments) => gloo::logs(arguments),
        Name::Disrupt(arguments) => disrupt::run(arguments),
        Name::Policy(arguments) => policy::run(arguments),
        Name::Start(arguments) => start::run(arguments),
        Name::Services(arguments) => services::run(arguments),
        Name::Peer(arguments) => peer::run(arguments),
    }
}

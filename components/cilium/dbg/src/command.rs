//! The commands, each named as in Cilium.

pub mod bpf_ct;
pub mod bpf_endpoint;
pub mod bpf_ipcache;
pub mod bpf_lb;
pub mod bpf_policy;
pub mod config;
pub mod encrypt;
pub mod endpoint;
pub mod identity;
pub mod ip;
pub mod metrics;
pub mod monitor;
pub mod node;
pub mod policy;
pub mod post_uninstall_cleanup;
pub mod service;
pub mod status;
pub mod version;

use std::io::Write;

use clap::{Parser, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use crate::agent::Host;

/// Look into the Cilium agent of this node.
#[derive(Debug, Parser)]
#[command(name = "cilium-dbg", version)]
pub struct Arguments {
    #[command(flatten)]
    host: Host,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Does the agent work, and what keeps it from it?
    Status(status::Arguments),
    /// Versions of this program and of the agent
    Version(version::Arguments),
    /// Pods of this node
    #[command(subcommand)]
    Endpoint(endpoint::Command),
    /// Policies in force
    #[command(subcommand)]
    Policy(policy::Command),
    /// Maps of the kernel
    #[command(subcommand)]
    Bpf(Bpf),
    /// Who holds which address
    #[command(subcommand)]
    Ip(ip::Command),
    /// Numbers and the labels they stand for
    #[command(subcommand)]
    Identity(identity::Command),
    /// Where Services and host ports are reached, and who answers
    #[command(subcommand)]
    Service(service::Command),
    /// Nodes of the cluster
    #[command(subcommand)]
    Node(node::Command),
    /// The agent's metrics
    #[command(subcommand)]
    Metrics(metrics::Command),
    /// Packets that are dropped, traced or judged, as they come
    Monitor(monitor::Arguments),
    /// What the agent runs with
    Config(config::Arguments),
    /// Encryption between nodes
    #[command(subcommand)]
    Encrypt(encrypt::Command),
    /// After the last agent of this node: take away what it left
    PostUninstallCleanup(post_uninstall_cleanup::Arguments),
}

#[derive(Debug, Subcommand)]
enum Bpf {
    /// What each policy says
    #[command(subcommand)]
    Policy(bpf_policy::Command),
    /// Connections
    #[command(subcommand)]
    Ct(bpf_ct::Command),
    /// Addresses and identities
    #[command(subcommand)]
    Ipcache(bpf_ipcache::Command),
    /// Services
    #[command(subcommand)]
    Lb(bpf_lb::Command),
    /// Pods of this node
    #[command(subcommand)]
    Endpoint(bpf_endpoint::Command),
}

/// Carries one command out. What was written to `out` before a failure stays valid.
pub async fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Error> {
    let agent = arguments.host.agent()?;
    match &arguments.command {
        Command::Status(arguments) => status::run(arguments, &agent, out).await,
        Command::Version(arguments) => version::run(arguments, &agent, out).await,
        Command::Endpoint(command) => endpoint::run(command, &agent, out).await,
        Command::Policy(command) => policy::run(command, &agent, out).await,
        Command::Bpf(Bpf::Policy(command)) => bpf_policy::run(command, &agent, out).await,
        Command::Bpf(Bpf::Ct(command)) => bpf_ct::run(command, &agent, out).await,
        Command::Bpf(Bpf::Ipcache(command)) => bpf_ipcache::run(command, &agent, out).await,
        Command::Bpf(Bpf::Lb(command)) => bpf_lb::run(command, &agent, out).await,
        Command::Bpf(Bpf::Endpoint(command)) => bpf_endpoint::run(command, &agent, out).await,
        Command::Ip(command) => ip::run(command, &agent, out).await,
        Command::Identity(command) => identity::run(command, &agent, out).await,
        Command::Service(command) => service::run(command, &agent, out).await,
        Command::Node(command) => node::run(command, &agent, out).await,
        Command::Metrics(command) => metrics::run(command, &agent, out).await,
        Command::Monitor(arguments) => monitor::run(arguments, &agent, out).await,
        Command::Config(arguments) => config::run(arguments, &agent, out).await,
        Command::Encrypt(command) => encrypt::run(command, &agent, out).await,
        Command::PostUninstallCleanup(arguments) => {
            post_uninstall_cleanup::run(arguments, &agent, out).await
        }
    }
}

/// The part of an answer a table shows; what is printed as JSON is the answer as it came.
pub(crate) fn read<T: DeserializeOwned>(raw: Value, asked: &str) -> Result<T, Error> {
    serde_json::from_value(raw).map_err(|source| Error::Answer {
        asked: asked.to_owned(),
        source,
    })
}

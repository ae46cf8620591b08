//! `cilium-health`: this program by another name. Upstream's asks a daemon with a socket of its own; ours asks the agent.

use std::io::Write;
use std::time::Duration;

use cilium_cni::model::health::HealthStatus;
use clap::{Args, Parser, Subcommand};
use http::Method;
use serde_json::Value;

use crate::Error;
use crate::agent::{Agent, Host};
use crate::command::read;
use crate::health::{self, Show};
use crate::output::Output;
use crate::table::Table;

/// The name it is called by.
pub const NAME: &str = "cilium-health";
/// The agent asks 32 nodes at once, and gives up on each after five seconds.
const PROBE_LIMIT: Duration = Duration::from_mins(5);

/// Do the nodes of the cluster reach each other?
#[derive(Debug, Parser)]
#[command(name = NAME, version)]
pub struct Arguments {
    #[command(flatten)]
    host: Host,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Which nodes this one reaches
    #[command(alias = "connectivity")]
    Status(Status),
    /// Does the agent answer, and does it probe?
    Ping,
}

#[derive(Debug, Args)]
struct Status {
    /// Probe every node now and wait for it, instead of what the last probes found
    #[arg(long)]
    probe: bool,
    /// One line per node, which is what happens without it
    #[arg(long, conflicts_with = "verbose")]
    succinct: bool,
    /// Every address of every node
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    output: Output,
}

/// Carries one command out. That a node is not reached is an answer and no failure.
pub async fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Error> {
    let agent = arguments.host.agent()?;
    match &arguments.command {
        Command::Status(arguments) => status(arguments, &agent, out).await,
        Command::Ping => {
            agent.get::<Value>("/gloonet/health", ASKED).await?;
            writeln!(out, "OK")?;
            Ok(())
        }
    }
}

const ASKED: &str = "the health of the cluster";

async fn status(arguments: &Status, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let raw: Value = if arguments.probe {
        agent
            .call(Method::PUT, "/gloonet/health/probe", ASKED, PROBE_LIMIT)
            .await?
    } else {
        agent.get("/gloonet/health", ASKED).await?
    };
    if arguments.output.write(&raw, out)? {
        return Ok(());
    }
    let status: HealthStatus = read(raw, ASKED)?;
    let show = if arguments.verbose {
        Show::Paths
    } else {
        Show::All
    };
    let mut table = Table::with_least(2);
    health::add(&status, show, &mut table);
    table.write(out)?;
    Ok(())
}

//! `./dev hubble`: upstream's own client, in a node of the lab, at the relay or at one agent's socket.

mod agent;
mod relay;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::lab::Lab;
use crate::{home, programs};

/// The node the client runs in when all nodes are asked. Any would do.
const ANY_NODE: &str = "worker-1";

/// What the client answers without a server.
const ANSWERED_ALONE: [&str; 5] = ["help", "version", "completion", "config", "--help"];

/// Arguments of `./dev hubble`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The one node whose agent is asked, at its socket; without it the relay is, for the flows of all nodes.
    #[arg(long)]
    node: Option<String>,
    /// What hubble is told, such as `observe --last 20`; `help` for its own commands.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    arguments: Vec<String>,
}

/// Runs the client to its end.
pub fn run(arguments: &Arguments) -> Result<()> {
    let lab = Lab::from_environment()?;
    if !lab.exists() {
        bail!("cluster {} is not up: ./dev up", lab.name());
    }
    programs::build(&["hubble"])?;
    let words = &arguments.arguments;
    let node = lab.node_name(arguments.node.as_deref().unwrap_or(ANY_NODE));
    let alone = words
        .iter()
        .any(|word| ANSWERED_ALONE.contains(&word.as_str()));
    if alone {
        return client(&lab, &node, &[], words);
    }
    if arguments.node.is_some() {
        agent::look_for_socket(&lab, &node)?;
        return client(&lab, &node, &agent::environment(), words);
    }
    let relay = relay::Relay::of(&lab)?;
    client(&lab, &node, &relay.environment(), words)
}

/// The node sees the built programs under their path on the machine. Whom the client asks goes by environment, since not every
/// command of it takes `--server`.
fn client(lab: &Lab, node: &str, environment: &[(&str, String)], words: &[String]) -> Result<()> {
    let program: PathBuf = home::cache_folder("bin")?.join("hubble");
    let variables = environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let mut command = Command::from(lab.command());
    command.args(["exec", node, "--", "env"]).args(variables);
    command.arg(program).args(words);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    runtime.block_on(to_its_end(command))
}

/// A terminal sends its interrupt to the client as well. Here it must not end what takes the certificate away afterwards.
async fn to_its_end(mut command: Command) -> Result<()> {
    let mut interrupts = signal(SignalKind::interrupt()).context("listen for interrupts")?;
    let mut child = command.spawn().context("start the lab's program")?;
    let mut interrupted = false;
    loop {
        tokio::select! {
            ended = child.wait() => {
                let ended = ended.context("wait for hubble")?;
                if ended.success() || interrupted {
                    return Ok(());
                }
                bail!("hubble ended with {ended}");
            }
            _ = interrupts.recv() => interrupted = true,
        }
    }
}

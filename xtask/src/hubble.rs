//! `./dev hubble`: upstream's own client, in a node of the lab, at the agent's socket there.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use crate::lab::Lab;
use crate::{home, programs};

/// Where the agent serves the Hubble API to programs on its node.
const SOCKET: &str = "/var/run/cilium/hubble.sock";

/// What the client answers without a server.
const ANSWERED_ALONE: [&str; 5] = ["help", "version", "completion", "config", "--help"];

/// Arguments of `./dev hubble`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The node whose agent is asked: it knows the flows of its own pods.
    #[arg(long, default_value = "worker-1")]
    node: String,
    /// What hubble is told, such as `observe --last 20`; `help` for its own commands.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    arguments: Vec<String>,
}

/// Becomes the client.
pub fn run(arguments: &Arguments) -> Result<()> {
    let lab = Lab::from_environment()?;
    if !lab.exists() {
        bail!("cluster {} is not up: ./dev up", lab.name());
    }
    programs::run(&programs::Arguments {
        names: vec!["hubble".to_owned()],
    })?;
    let node = lab.node_name(&arguments.node);
    if !arguments
        .arguments
        .iter()
        .any(|word| ANSWERED_ALONE.contains(&word.as_str()))
    {
        look_for_socket(&lab, &node)?;
    }
    let error = client(&lab, &node, &arguments.arguments)?.exec();
    Err(anyhow!(error).context("start the lab's program"))
}

/// The node sees the built programs under their path on the machine. The address goes by environment, since not every
/// command of the client takes `--server`.
fn client(lab: &Lab, node: &str, arguments: &[String]) -> Result<Command> {
    let program: PathBuf = home::cache_folder("bin")?.join("hubble");
    let mut command = lab.command();
    command
        .args(["exec", node, "--", "env"])
        .arg(format!("HUBBLE_SERVER=unix://{SOCKET}"))
        .arg(program)
        .args(arguments);
    Ok(command)
}

fn look_for_socket(lab: &Lab, node: &str) -> Result<()> {
    let looked = lab
        .command()
        .args(["exec", node, "--", "test", "-S", SOCKET])
        .stdin(Stdio::null())
        .output()
        .context("start the lab's program")?;
    if looked.status.success() {
        return Ok(());
    }
    // `test` says nothing; the lab's own refusals do.
    let said = String::from_utf8_lossy(&looked.stderr);
    if !said.trim().is_empty() {
        bail!("look for hubble's socket on {node}: {}", said.trim());
    }
    bail!(
        "node {node} has no {SOCKET}: its agent does not run, or does not serve Hubble. \
         ./dev gloonet status says whether cilium-agent is healthy, ./dev logs cilium-agent what it says about Hubble"
    )
}

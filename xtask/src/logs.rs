//! `./dev logs`: one place to ask, wherever the log is.

use std::process::Command;

use anyhow::Result;

use crate::lab::Lab;
use crate::process;

/// Arguments of `./dev logs`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A component (redis, cilium-agent), or a process of the lab as NODE/PROGRAM (worker-1/kubelet). Without a name: the operator.
    name: Option<String>,
    /// Go on printing.
    #[arg(short, long)]
    follow: bool,
    /// Lines per container to begin with.
    #[arg(long, default_value_t = 200)]
    tail: u32,
}

/// Prints the log.
pub fn run(arguments: &Arguments) -> Result<()> {
    let lab = Lab::from_environment()?;
    let mut command = match arguments.name.as_deref() {
        Some(process) if process.contains('/') => {
            let mut command = lab.command();
            command.args(["logs", process]);
            return process::run(&mut command);
        }
        Some(component) => of_pods(
            &lab,
            &[
                "--selector",
                &format!("gloonetwork.io/component={component}"),
            ],
        )?,
        None => of_pods(
            &lab,
            &[
                "--selector",
                "app.kubernetes.io/name=gloonet-operator",
                "--namespace",
                "gloonet-system",
            ],
        )?,
    };
    command.arg(format!("--tail={}", arguments.tail));
    if arguments.follow {
        command.arg("--follow");
    }
    process::run(&mut command)
}

/// kubectl logs takes a selector in one namespace only, so the namespace is looked up first.
fn of_pods(lab: &Lab, selection: &[&str]) -> Result<Command> {
    let mut command = lab.kubectl()?;
    command
        .args([
            "logs",
            "--all-containers",
            "--prefix",
            "--max-log-requests=20",
        ])
        .args(selection);
    if !selection.contains(&"--namespace") {
        let mut query = vec!["pods", "--all-namespaces"];
        query.extend(selection);
        let pods = lab.get(&query)?;
        match pods["items"][0]["metadata"]["namespace"].as_str() {
            Some(namespace) => command.args(["--namespace", namespace]),
            None => anyhow::bail!(
                "no pod has {}; ./dev gloonet status lists the components",
                selection.join(" ")
            ),
        };
    }
    Ok(command)
}

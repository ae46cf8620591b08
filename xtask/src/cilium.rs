//! `./dev cilium`: upstream's cilium-cli against the lab's cluster.
//!
//! Everything it does goes through the API server, so it runs on the machine and needs only the lab's door.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::lab::Lab;
use crate::{home, programs};

/// The program's name, also in `programs.toml`.
const PROGRAM: &str = "cilium";

/// What cilium-cli answers without a cluster.
const ANSWERED_ALONE: [&str; 5] = ["help", "completion", "--client", "--help", "-h"];

/// Arguments of `./dev cilium`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What cilium-cli is told, such as `status --wait`; `help` for its own commands.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    arguments: Vec<String>,
}

/// Becomes cilium-cli, so that its exit code and what it does on an interrupt are its own.
pub fn run(arguments: &Arguments) -> Result<()> {
    let lab = Lab::from_environment()?;
    let words = &arguments.arguments;
    if !is_answered_alone(words) && !lab.exists() {
        bail!("cluster {} is not up: ./dev up", lab.name());
    }
    build()?;
    let refused = program(&lab)?.args(words).exec();
    Err(refused).context("start cilium-cli")
}

/// Builds cilium-cli, once per version.
pub fn build() -> Result<()> {
    programs::build(&[PROGRAM])
}

/// cilium-cli for a cluster of the lab.
pub fn program(lab: &Lab) -> Result<Command> {
    let mut command = Command::new(home::cache_folder("bin")?.join(PROGRAM));
    command.env("KUBECONFIG", lab.kubeconfig());
    Ok(command)
}

fn is_answered_alone(words: &[String]) -> bool {
    let mut words = words.iter();
    words.any(|word| ANSWERED_ALONE.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_its_own_version_need_no_cluster() {
        let alone = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            is_answered_alone(&words)
        };
        assert!(alone("help"));
        assert!(alone("connectivity test --help"));
        assert!(alone("version --client"));
        assert!(!alone("version"));
        assert!(!alone("status --wait"));
    }
}

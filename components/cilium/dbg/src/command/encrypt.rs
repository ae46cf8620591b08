//! `cilium-dbg encrypt`.

use std::io::Write;

use cilium_cni::model::StatusResponse;
use clap::Subcommand;

use crate::Error;
use crate::agent::Agent;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Is traffic between nodes encrypted?
    Status {
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let Command::Status { output } = command;
    let status: StatusResponse = agent.get("/healthz", "its status").await?;
    if !output.write(&status.encryption, out)? {
        writeln!(out, "Encryption: {:<26}", status.encryption.mode)?;
    }
    Ok(())
}

//! `cilium-dbg bpf ct`. There may be half a million connections: none is kept longer than it takes to print it.

use std::io::Write;

use cilium_cni::model::bpf::{CtEntry, CtRecord, Flushed};
use clap::{Subcommand, ValueEnum};

use crate::Error;
use crate::agent::Agent;
use crate::output::Output;
use crate::reserved::protocol;

/// This datapath has one table for all endpoints.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Which {
    Global,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every connection
    #[command(alias = "ls")]
    List {
        #[arg(default_value = "global")]
        which: Which,
        #[command(flatten)]
        output: Output,
    },
    /// Forget every connection; those that policies allow go on
    Flush {
        #[arg(default_value = "global")]
        which: Which,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    match command {
        Command::List { output, .. } => list(agent, output, out).await,
        Command::Flush { .. } => {
            let flushed: Flushed = agent
                .delete("/gloonet/bpf/ct", "flushing its connections")
                .await?;
            writeln!(out, "Flushed {} entries", flushed.deleted)?;
            Ok(())
        }
    }
}

async fn list(agent: &Agent, output: &Output, out: &mut dyn Write) -> Result<(), Error> {
    let asked = "its connections";
    let mut lines = agent.lines("/gloonet/bpf/ct", asked).await?;
    let broken = |source| Error::Ask {
        asked: asked.to_owned(),
        source,
    };
    if output.is_text() {
        while let Some(line) = lines.next().await.map_err(broken)? {
            writeln!(out, "{}", text(&record(&line)?))?;
        }
        return Ok(());
    }
    let mut separator = "[";
    while let Some(line) = lines.next().await.map_err(broken)? {
        write!(out, "{separator}\n  ")?;
        serde_json::to_writer(&mut *out, &record(&line)?).map_err(std::io::Error::from)?;
        separator = ",";
    }
    writeln!(out, "{}", if separator == "[" { "[]" } else { "\n]" })?;
    Ok(())
}

fn record(line: &[u8]) -> Result<CtRecord, Error> {
    serde_json::from_slice(line).map_err(|source| Error::Answer {
        asked: "its connections".to_owned(),
        source,
    })
}

fn text(record: &CtRecord) -> String {
    let CtRecord { key, value } = record;
    format!(
        "{} {} {}:{} -> {}:{} remaining={}s TxPackets={} TxBytes={} TxFlagsSeen={:#04x} RxPackets={} RxBytes={} RxFlagsSeen={:#04x} Flags=[ {}] SourceSecurityID={} DestSecurityID={}",
        protocol(key.next_header),
        key.direction,
        key.source_addr,
        key.source_port,
        key.dest_addr,
        key.dest_port,
        value.lifetime,
        value.tx_packets,
        value.tx_bytes,
        value.tx_flags_seen,
        value.rx_packets,
        value.rx_bytes,
        value.rx_flags_seen,
        flags(value),
        value.source_security_id,
        value.dest_security_id,
    )
}

fn flags(value: &CtEntry) -> String {
    let reply = if value.seen_reply { "SeenReply " } else { "" };
    let closing = if value.closing { "Closing " } else { "" };
    format!("{reply}{closing}")
}

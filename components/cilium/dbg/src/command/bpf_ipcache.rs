//! `cilium-dbg bpf ipcache`.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;

use cilium_cni::model::bpf::IpcacheEntry;
use clap::Subcommand;

use crate::Error;
use crate::agent::Agent;
use crate::output::Output;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every prefix of the map
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let Command::List { output } = command;
    let entries: Vec<IpcacheEntry> = agent.get("/gloonet/bpf/ipcache", "its ipcache map").await?;
    let texts: Vec<(String, String)> = entries
        .iter()
        .map(|entry| (entry.prefix.to_string(), text(entry)))
        .collect();
    if output.is_text() {
        two_columns("IP PREFIX/ADDRESS", "IDENTITY", &texts).write(out)?;
    } else {
        output.write(&as_map(texts), out)?;
    }
    Ok(())
}

fn text(entry: &IpcacheEntry) -> String {
    let tunnel = entry.tunnel_endpoint.unwrap_or(Ipv4Addr::UNSPECIFIED);
    let flags = match entry.tunnel_endpoint {
        Some(_) => "hastunnel",
        None => "<none>",
    };
    format!(
        "identity={} encryptkey=0 tunnelendpoint={tunnel} flags={flags}",
        entry.identity
    )
}

/// How Cilium prints a map: key, and values as text.
pub(super) fn as_map(entries: Vec<(String, String)>) -> BTreeMap<String, [String; 1]> {
    entries
        .into_iter()
        .map(|(key, value)| (key, [value]))
        .collect()
}

pub(super) fn two_columns(first: &str, second: &str, entries: &[(String, String)]) -> Table {
    let mut table = Table::new();
    table.line(format!("{first}\t{second}\t"));
    for (key, value) in entries {
        table.line(format!("{key}\t{value}\t"));
    }
    table
}

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
    print_map(["IP PREFIX/ADDRESS", "IDENTITY"], texts, output, out)
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
pub(super) fn print_map(
    [key, value]: [&str; 2],
    entries: Vec<(String, String)>,
    output: &Output,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if !output.is_text() {
        let map = entries.into_iter().map(|(key, value)| (key, [value]));
        let map: BTreeMap<String, [String; 1]> = map.collect();
        return output.write(&map, out).map(drop);
    }
    let mut table = Table::new();
    table.line(format!("{key}\t{value}\t"));
    for (key, value) in &entries {
        table.line(format!("{key}\t{value}\t"));
    }
    table.write(out)?;
    Ok(())
}

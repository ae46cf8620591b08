//! `cilium-dbg bpf endpoint`.

use std::io::Write;

use cilium_cni::model::bpf::LocalEndpoint;
use clap::Subcommand;

use super::bpf_ipcache::print_map;
use crate::Error;
use crate::agent::Agent;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every entry of the map
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let Command::List { output } = command;
    let entries: Vec<LocalEndpoint> = agent
        .get("/gloonet/bpf/endpoint", "its endpoint map")
        .await?;
    let texts: Vec<(String, String)> = entries
        .iter()
        .map(|entry| (entry.ip.to_string(), text(entry)))
        .collect();
    print_map(["IP ADDRESS", "LOCAL ENDPOINT INFO"], texts, output, out)
}

fn text(entry: &LocalEndpoint) -> String {
    format!(
        "id={:<5} sec_id={:<5} flags=0x0000 ifindex={:<3} mac={} nodemac={}",
        entry.id, entry.identity, entry.ifindex, entry.mac, entry.node_mac
    )
}

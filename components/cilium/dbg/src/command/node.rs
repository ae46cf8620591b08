//! `cilium-dbg node`.

use std::io::Write;

use cilium_cni::model::node::ClusterNodeStatus;
use clap::Subcommand;

use crate::Error;
use crate::agent::Agent;
use crate::output::Output;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// All of them
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let Command::List { output } = command;
    let nodes: ClusterNodeStatus = agent.get("/cluster/nodes", "the nodes").await?;
    if output.write(&nodes.nodes_added, out)? {
        return Ok(());
    }
    let mut table = Table::with_least(0);
    table.line("Name\tIPv4 Address\tEndpoint CIDR\tIPv6 Address\tEndpoint CIDR\tSource");
    for node in &nodes.nodes_added {
        let ipv4 = &node.primary_address.ipv4;
        table.line(format!(
            "{}\t{}\t{}\t\t\t{}",
            node.name, ipv4.ip, ipv4.alloc_range, node.source
        ));
    }
    table.write(out)?;
    Ok(())
}

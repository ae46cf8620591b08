//! `cilium-dbg endpoint`.

use std::io::Write;

use cilium_cni::model::Endpoint;
use clap::Subcommand;
use serde_json::Value;

use super::read;
use crate::Error;
use crate::agent::{Agent, segment};
use crate::output::Output;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// All of them
    #[command(alias = "ls")]
    List {
        /// Without the lines that name the columns
        #[arg(long)]
        no_headers: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Everything about one
    Get {
        /// NUMBER, cep-name:NAMESPACE/POD, cni-attachment-id:CONTAINER:INTERFACE or container-id:CONTAINER
        id: String,
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    match command {
        Command::List { no_headers, output } => {
            let raw: Value = agent.get("/endpoint", "its endpoints").await?;
            if !output.write(&raw, out)? {
                table(&read::<Vec<Endpoint>>(raw, "its endpoints")?, !no_headers).write(out)?;
            }
        }
        Command::Get { id, output } => {
            let path = format!("/endpoint/{}", segment(id));
            let found: Value = agent.get(&path, &format!("endpoint {id}")).await?;
            output.or_json().write(&[found], out)?;
        }
    }
    Ok(())
}

fn table(endpoints: &[Endpoint], headers: bool) -> Table {
    let mut table = Table::new();
    if headers {
        table.line(
            "ENDPOINT\tPOLICY (ingress)\tPOLICY (egress)\tIDENTITY\tLABELS (source:key[=value])\tIPv6\tIPv4\tSTATUS\t",
        );
        table.line("\tENFORCEMENT\tENFORCEMENT\t\t\t\t\t\t");
    }
    for endpoint in endpoints {
        let status = &endpoint.status;
        let (ingress, egress) = enforcement(&status.policy.realized.policy_enabled);
        let address = status
            .networking
            .addressing
            .first()
            .and_then(|pair| pair.ipv4)
            .map_or_else(|| "No address".to_owned(), |ip| ip.to_string());
        let mut labels = status.labels.security_relevant.clone();
        labels.sort();
        let mut labels = labels.into_iter();
        let first = labels.next().unwrap_or_else(|| "no labels".to_owned());
        table.line(format!(
            "{}\t{ingress}\t{egress}\t{}\t{first}\t\t{address}\t{}\t",
            endpoint.id, status.identity.id, status.state
        ));
        for label in labels {
            table.line(format!("\t\t\t\t{label}\t\t\t\t"));
        }
    }
    table
}

fn enforcement(enabled: &str) -> (&'static str, &'static str) {
    match enabled {
        "none" => ("Disabled", "Disabled"),
        "ingress" => ("Enabled", "Disabled"),
        "egress" => ("Disabled", "Enabled"),
        "both" => ("Enabled", "Enabled"),
        _ => ("Unknown", "Unknown"),
    }
}

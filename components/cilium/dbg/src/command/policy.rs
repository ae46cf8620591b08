//! `cilium-dbg policy`.

use std::io::Write;

use cilium_cni::model::policy::{Label, Policy, SelectorMapping};
use clap::Subcommand;
use serde_json::Value;

use super::read;
use crate::Error;
use crate::agent::Agent;
use crate::output::Output;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every policy, and the revision the datapath has
    Get {
        #[command(flatten)]
        output: Output,
    },
    /// What policies select by, and whom
    Selectors {
        /// With all labels of the policies
        #[arg(short, long)]
        verbose: bool,
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    match command {
        Command::Get { output } => {
            let raw: Value = agent.get("/policy", "its policies").await?;
            if !output.write(&raw, out)? {
                let policy: Policy = read(raw, "its policies")?;
                writeln!(out, "{}\nRevision: {}", policy.policy, policy.revision)?;
            }
        }
        Command::Selectors { verbose, output } => {
            let raw: Value = agent.get("/policy/selectors", "its selectors").await?;
            if !output.write(&raw, out)? {
                let selectors: Vec<SelectorMapping> = read(raw, "its selectors")?;
                table(&selectors, *verbose).write(out)?;
            }
        }
    }
    Ok(())
}

fn table(selectors: &[SelectorMapping], verbose: bool) -> Table {
    let mut table = Table::new();
    table.line("SELECTOR\tLABELS\tUSERS\tIDENTITIES");
    for mapping in selectors {
        let policies = if verbose {
            all_labels(&mapping.labels)
        } else {
            names(&mapping.labels)
        };
        let head = format!("{}\t{policies}\t{}", mapping.selector, mapping.users);
        let mut identities = mapping.identities.iter();
        match identities.next() {
            Some(first) => table.line(format!("{head}\t{first}\t")),
            None => table.line(format!("{head}\t")),
        }
        for identity in identities {
            table.line(format!("\t\t\t{identity}\t"));
        }
    }
    table
}

/// `namespace/name` of each policy that has one.
fn names(policies: &[Vec<Label>]) -> String {
    let value = |labels: &[Label], key: &str| {
        labels
            .iter()
            .find(|label| label.key == key)
            .map(|label| label.value.clone())
            .unwrap_or_default()
    };
    policies
        .iter()
        .map(|labels| {
            (
                value(labels, "io.cilium.k8s.policy.namespace"),
                value(labels, "io.cilium.k8s.policy.name"),
            )
        })
        .filter(|(_, name)| !name.is_empty())
        .map(|(namespace, name)| match namespace.as_str() {
            "" => name,
            namespace => format!("{namespace}/{name}"),
        })
        .collect::<Vec<_>>()
        .join(",")
}

fn all_labels(policies: &[Vec<Label>]) -> String {
    let one = |labels: &Vec<Label>| {
        let labels: Vec<String> = labels
            .iter()
            .map(|label| format!("{}:{}={}", label.source, label.key, label.value))
            .collect();
        format!("[{}]", labels.join(" "))
    };
    policies.iter().map(one).collect::<Vec<_>>().join(", ")
}

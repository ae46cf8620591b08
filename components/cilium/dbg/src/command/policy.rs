//! `cilium-dbg policy`.

use std::io::Write;
use std::time::{Duration, Instant};

use cilium_cni::model::policy::{Label, Policy, SelectorMapping};
use clap::Subcommand;
use serde_json::Value;

use super::read;
use crate::Error;
use crate::agent::Agent;
use crate::output::Output;
use crate::table::Table;

/// Every answer lists all policies: not more often than people would notice.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every policy, and the revision the datapath has
    Get {
        #[command(flatten)]
        output: Output,
    },
    /// Ends when the datapath has a revision
    Wait {
        /// The revision, or any later one
        revision: u64,
        /// Seconds after which waiting fails
        #[arg(long, default_value_t = 360)]
        max_wait_time: u64,
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
        Command::Wait {
            revision,
            max_wait_time,
        } => wait(agent, *revision, Duration::from_secs(*max_wait_time)).await?,
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

async fn wait(agent: &Agent, wanted: u64, limit: Duration) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        let policy: Policy = agent.get("/policy", "its policies").await?;
        if policy.revision >= wanted {
            return Ok(());
        }
        if began.elapsed() >= limit {
            return Err(Error::Behind {
                wanted,
                has: policy.revision,
                seconds: limit.as_secs(),
            });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
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

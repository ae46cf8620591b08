//! `cilium-dbg identity`.

use std::io::Write;

use cilium_cni::model::identity::Identity;
use clap::Subcommand;

use crate::Error;
use crate::agent::{Agent, segment};
use crate::output::Output;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// All, or those that have every one of LABELS
    #[command(alias = "ls")]
    List {
        /// source:key=value
        labels: Vec<String>,
        #[command(flatten)]
        output: Output,
    },
    /// One, by its number
    Get {
        id: u32,
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let (identities, output) = match command {
        Command::List { labels, output } => {
            let mut all: Vec<Identity> = agent.get("/identity", "its identities").await?;
            all.retain(|identity| labels.iter().all(|label| identity.labels.contains(label)));
            (all, output)
        }
        Command::Get { id, output } => {
            let path = format!("/identity/{}", segment(&id.to_string()));
            let one = agent.get(&path, &format!("identity {id}")).await?;
            (vec![one], output)
        }
    };
    if !output.write(&identities, out)? {
        table(&identities).write(out)?;
    }
    Ok(())
}

fn table(identities: &[Identity]) -> Table {
    let mut table = Table::new();
    table.line("ID\tLABELS");
    for identity in identities {
        for (number, label) in identity.labels.iter().enumerate() {
            match number {
                0 => table.line(format!("{}\t{label}", identity.id)),
                _ => table.line(format!("\t{label}")),
            }
        }
    }
    table
}

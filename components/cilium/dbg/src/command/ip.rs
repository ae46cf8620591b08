//! `cilium-dbg ip`.

use std::collections::BTreeMap;
use std::io::Write;

use cilium_cni::model::identity::Identity;
use cilium_cni::model::ip::IpListEntry;
use clap::Subcommand;

use crate::Error;
use crate::agent::Agent;
use crate::output::Output;
use crate::reserved;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every address and its identity
    #[command(alias = "ls")]
    List {
        /// Numbers instead of names and labels
        #[arg(short, long)]
        numeric: bool,
        /// With the node that reaches it
        #[arg(short, long)]
        verbose: bool,
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let Command::List {
        numeric,
        verbose,
        output,
    } = command;
    let entries: Vec<IpListEntry> = agent.get("/ip", "its addresses").await?;
    if output.write(&entries, out)? {
        return Ok(());
    }
    let labels = if *numeric {
        BTreeMap::new()
    } else {
        labels(agent).await?
    };
    table(&entries, &labels, *numeric, *verbose).write(out)?;
    Ok(())
}

/// The labels of every identity, by number.
pub(super) async fn labels(agent: &Agent) -> Result<BTreeMap<u32, Vec<String>>, Error> {
    let identities: Vec<Identity> = agent.get("/identity", "its identities").await?;
    Ok(identities
        .into_iter()
        .map(|identity| (identity.id, identity.labels))
        .collect())
}

fn table(
    entries: &[IpListEntry],
    labels: &BTreeMap<u32, Vec<String>>,
    numeric: bool,
    verbose: bool,
) -> Table {
    let mut table = Table::new();
    table.line(if verbose {
        "IP\tIDENTITY\tSOURCE\tHOST\tENCRYPT_KEY"
    } else {
        "IP\tIDENTITY\tSOURCE"
    });
    for entry in entries {
        let mut names = names(entry.identity, labels, numeric).into_iter();
        let first = names.next().unwrap_or_default();
        let source = entry
            .metadata
            .as_ref()
            .map_or("", |metadata| &metadata.source);
        let host = entry.host_ip.map(|ip| ip.to_string()).unwrap_or_default();
        let more = if verbose {
            format!("\t{host}\t{}", entry.encrypt_key)
        } else {
            String::new()
        };
        table.line(format!("{}\t{first}\t{source}{more}", entry.cidr));
        for name in names {
            table.line(format!("\t{name}\t"));
        }
    }
    table
}

fn names(identity: u32, labels: &BTreeMap<u32, Vec<String>>, numeric: bool) -> Vec<String> {
    match (reserved::identity(identity), labels.get(&identity)) {
        (Some(name), _) if !numeric => vec![name.to_owned()],
        (_, Some(labels)) if !numeric && !labels.is_empty() => labels.clone(),
        _ => vec![identity.to_string()],
    }
}

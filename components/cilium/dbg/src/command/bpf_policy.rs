//! `cilium-dbg bpf policy`.

use std::collections::BTreeMap;
use std::io::Write;

use cilium_cni::model::bpf::{PolicyEntry, PolicyKey, PolicyOfEndpoint};
use clap::Subcommand;
use serde::Serialize;

use crate::Error;
use crate::agent::{Agent, segment};
use crate::command::ip::labels;
use crate::output::Output;
use crate::reserved::protocol;
use crate::table::Table;

/// Bits of a key before the protocol.
const EXACT_BITS: u32 = 40;
const PROTOCOL_BITS: u32 = 8;
const PORT_BITS: u32 = 16;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What judges an endpoint
    Get {
        /// Number of the endpoint
        #[arg(required_unless_present = "all")]
        endpoint: Option<u16>,
        /// Every endpoint's
        #[arg(long, conflicts_with = "endpoint")]
        all: bool,
        /// Identities as numbers
        #[arg(short, long)]
        numeric: bool,
        #[command(flatten)]
        output: Output,
    },
}

/// One of `--all`.
#[derive(Serialize)]
struct OfEndpoint {
    #[serde(rename = "EndpointID")]
    endpoint: String,
    #[serde(rename = "Policy")]
    policy: u32,
    #[serde(rename = "Content")]
    content: Vec<PolicyEntry>,
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let Command::Get {
        endpoint,
        numeric,
        output,
        ..
    } = command;
    let names = if *numeric || !output.is_text() {
        BTreeMap::new()
    } else {
        labels(agent).await?
    };
    if let Some(endpoint) = endpoint {
        let entries = entries(agent, *endpoint).await?;
        if !output.write(&entries, out)? {
            print(&entries, &names, *numeric, out)?;
        }
        return Ok(());
    }
    let known: Vec<PolicyOfEndpoint> = agent.get("/gloonet/bpf/policy", "its policies").await?;
    if output.is_text() {
        for one in known {
            writeln!(
                out,
                "Endpoint ID: {}\nPolicy: {}\n",
                one.endpoint, one.policy
            )?;
            print(&entries(agent, one.endpoint).await?, &names, *numeric, out)?;
            writeln!(out, "\n")?;
        }
        return Ok(());
    }
    let mut all = Vec::new();
    for one in known {
        all.push(OfEndpoint {
            endpoint: one.endpoint.to_string(),
            policy: one.policy,
            content: entries(agent, one.endpoint).await?,
        });
    }
    output.write(&all, out)?;
    Ok(())
}

async fn entries(agent: &Agent, endpoint: u16) -> Result<Vec<PolicyEntry>, Error> {
    let path = format!("/gloonet/bpf/policy/{}", segment(&endpoint.to_string()));
    agent
        .get(&path, &format!("the policy of endpoint {endpoint}"))
        .await
}

fn print(
    entries: &[PolicyEntry],
    names: &BTreeMap<u32, Vec<String>>,
    numeric: bool,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut table = Table::new();
    let who = if numeric {
        "IDENTITY"
    } else {
        "LABELS (source:key[=value])"
    };
    table.line(format!(
        "POLICY\tDIRECTION\t{who}\tPORT/PROTO\tPROXY PORT\tAUTH TYPE\tBYTES\tPACKETS\tPREFIX\tCOOKIE"
    ));
    for entry in entries {
        let direction = match entry.key.traffic_direction {
            0 => "Ingress",
            _ => "Egress",
        };
        let mut who = peer(entry.key.identity, names, numeric).into_iter();
        table.line(format!(
            "{}\t{direction}\t{}\t{}\tNONE\tdisabled\t-\t-\t{}\t{}",
            verdict(&entry.verdict),
            who.next().unwrap_or_default(),
            port(&entry.key),
            entry.key.prefixlen.saturating_sub(EXACT_BITS),
            entry.cookie
        ));
        for label in who {
            table.line(format!("\t\t{label}\t\t\t\t\t\t\t"));
        }
    }
    table.write(out)?;
    if entries.is_empty() {
        writeln!(
            out,
            "No entries: everything from and to this endpoint is dropped."
        )?;
    }
    Ok(())
}

fn verdict(text: &str) -> &str {
    match text {
        "allow" => "Allow",
        "deny" => "Deny",
        "default-deny" => "DefaultDeny",
        other => other,
    }
}

fn peer(identity: u32, names: &BTreeMap<u32, Vec<String>>, numeric: bool) -> Vec<String> {
    match names.get(&identity) {
        _ if numeric => vec![identity.to_string()],
        _ if identity == 0 => vec!["ANY".to_owned()],
        Some(labels) if !labels.is_empty() => labels.clone(),
        _ => vec![identity.to_string()],
    }
}

/// `80/TCP`, `8080-8087/TCP`, `TCP` or `ANY`.
fn port(key: &PolicyKey) -> String {
    let protocol = protocol(key.nexthdr);
    let bits = key
        .prefixlen
        .saturating_sub(EXACT_BITS + PROTOCOL_BITS)
        .min(PORT_BITS);
    match bits {
        0 => protocol,
        PORT_BITS => format!("{}/{protocol}", key.dest_port),
        bits => {
            let last = key.dest_port | (u16::MAX >> bits);
            format!("{}-{last}/{protocol}", key.dest_port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(prefixlen: u32, nexthdr: u8, dest_port: u16) -> PolicyKey {
        PolicyKey {
            prefixlen,
            identity: 0,
            traffic_direction: 0,
            nexthdr,
            dest_port,
        }
    }

    #[test]
    fn a_prefix_of_a_port_is_shown_as_the_range_it_is() {
        assert_eq!(port(&key(40, 0, 0)), "ANY");
        assert_eq!(port(&key(48, 6, 0)), "TCP");
        assert_eq!(port(&key(64, 17, 53)), "53/UDP");
        assert_eq!(port(&key(61, 6, 8080)), "8080-8087/TCP");
        assert_eq!(port(&key(49, 6, 32768)), "32768-65535/TCP");
    }
}

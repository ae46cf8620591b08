//! `cilium-dbg bpf lb`.

use std::io::Write;
use std::net::Ipv4Addr;

use cilium_cni::model::bpf::LbService;
use clap::Subcommand;

use super::bpf_ipcache::print_map;
use super::service::frontend;
use crate::Error;
use crate::agent::Agent;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every entry of the maps
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let Command::List { output } = command;
    let services: Vec<LbService> = agent.get("/gloonet/bpf/lb", "its service maps").await?;
    let texts: Vec<(String, String)> = services.iter().flat_map(slots).collect();
    let headings = ["SERVICE ADDRESS", "BACKEND ADDRESS (REVNAT_ID) (SLOT)"];
    print_map(headings, texts, output, out)
}

/// Slot 0 is the service itself, as in Cilium's map.
fn slots(service: &LbService) -> Vec<(String, String)> {
    let address = frontend(&service.frontend);
    let (generation, protocol) = (service.generation, &service.frontend.protocol);
    let itself = format!(
        "{}:0 ({generation}) (0) [{}]",
        Ipv4Addr::UNSPECIFIED,
        flags(service)
    );
    let backends = (1..).zip(&service.backends).map(|(slot, backend)| {
        let text = format!(
            "{}:{}/{protocol} ({generation}) ({slot})",
            backend.ip, backend.port
        );
        (format!("{address} ({slot})"), text)
    });
    std::iter::once((format!("{address} (0)"), itself))
        .chain(backends)
        .collect()
}

/// Cilium's words in Cilium's order, then ours.
fn flags(service: &LbService) -> String {
    let words = [
        (service.affinity_seconds.is_some(), "sessionAffinity"),
        (service.inside_only, "non-routable"),
        (!service.source_ranges.is_empty(), "check source-range"),
        (service.exclusive, "exclusive"),
        (service.silent, "silent"),
    ];
    let set: Vec<&str> = words
        .into_iter()
        .filter_map(|(set, word)| set.then_some(word))
        .collect();
    set.join(", ")
}

//! Nodes and addresses into the datapath.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use datapath::{Datapath, IpEntry, Node};
use ipnet::Ipv4Net;

use crate::agent::{Agent, blocking};
use crate::bell::Bell;
use crate::difference::{self, Outcome, Writer, said};
use crate::endpoints::local_identities;
use crate::ipcache::{self, Sources};
use crate::linger::Lingering;
use crate::nodes::{self, KnownNode};
use crate::services::addresses_of;
use crate::task::{REPAIR, RETRY};

/// While a vanished node lingers, its end must be noticed.
const LINGER_CHECK: Duration = Duration::from_secs(5);

pub async fn run(agent: Arc<Agent>, bell: Bell) {
    let mut lingering = Lingering::default();
    let mut previous = Vec::new();
    let mut pause = RETRY;
    loop {
        bell.wait(pause).await;
        let watched = &agent.watched;
        let synced = watched.nodes.synced()
            && watched.endpoints.synced()
            && watched.identities.synced()
            && watched.slices.synced();
        if !watched.nodes.synced() {
            continue;
        }
        let began = Instant::now();
        let listed = watched.nodes.list();
        let (known, refusals) = nodes::accept(listed.iter().map(AsRef::as_ref), &previous);
        let known = lingering.extend(known, Instant::now());
        previous.clone_from(&known);
        let worker = agent.clone();
        let failures = blocking(move || pass(&worker, &known, synced))
            .await
            .unwrap_or_else(|| vec!["network task panicked".to_owned()]);
        agent.report("nodes", refusals.first().map(|refusal| refusal.0.clone()));
        pause = match (failures.is_empty(), lingering.pending()) {
            (false, _) => RETRY,
            (true, true) => LINGER_CHECK,
            (true, false) => REPAIR,
        };
        if synced && failures.is_empty() {
            agent.filled("network");
        }
        agent.ran("network", began, failures.into_iter().next());
    }
}

/// Reads the datapath anew each time: what is there is the truth, also after somebody else changed it.
fn pass(agent: &Agent, known: &[KnownNode], may_remove: bool) -> Vec<String> {
    let mut failures = Vec::new();
    match write_nodes(agent, known, may_remove) {
        Ok(outcome) => {
            let tally = &agent.tally;
            let count =
                |counter: &AtomicU64, n: usize| counter.fetch_add(n as u64, Ordering::Relaxed);
            count(&tally.nodes_updated, outcome.written);
            count(&tally.nodes_removed, outcome.removed);
            failures.extend(outcome.failures);
        }
        Err(error) => failures.push(cilium_cni::error::chain(&error)),
    }
    match write_addresses(agent, known, may_remove) {
        Ok(outcome) => {
            // An address that means somebody else now: what its connections were allowed is asked again.
            let renewed = if outcome.written + outcome.removed > 0 {
                agent.datapath.new_epoch()
            } else {
                Ok(())
            };
            failures.extend(outcome.failures);
            failures.extend(renewed.err().map(|error| cilium_cni::error::chain(&error)));
        }
        Err(error) => failures.push(cilium_cni::error::chain(&error)),
    }
    failures
}

fn write_nodes(
    agent: &Agent,
    known: &[KnownNode],
    may_remove: bool,
) -> Result<Outcome, datapath::Error> {
    let desired: BTreeMap<Ipv4Addr, Node> = known
        .iter()
        .filter(|node| node.name != agent.own.name && node.ip != agent.own.ip)
        .map(|node| {
            let entry = Node {
                ip: node.ip,
                pod_cidrs: node.pod_cidrs.clone(),
            };
            (node.ip, entry)
        })
        .collect();
    follow_nodes(&*agent.datapath, &desired, may_remove)
}

fn follow_nodes(
    datapath: &dyn Datapath,
    desired: &BTreeMap<Ipv4Addr, Node>,
    may_remove: bool,
) -> Result<Outcome, datapath::Error> {
    let mut current: BTreeMap<_, _> = datapath
        .nodes()?
        .into_iter()
        .map(|node| (node.ip, node))
        .collect();
    let mut removed = 0;
    // A range that moved to another node is free only once its old owner is gone.
    if may_remove {
        let kept = current
            .clone()
            .into_iter()
            .filter(|(ip, _)| desired.contains_key(ip))
            .collect();
        // Who could not be removed is tried again, and named, with the rest.
        removed = difference::apply(&mut current, &kept, true, node_writer(datapath)).removed;
    }
    let mut outcome = difference::apply(&mut current, desired, may_remove, node_writer(datapath));
    outcome.removed += removed;
    Ok(outcome)
}

fn node_writer(datapath: &dyn Datapath) -> Writer<'_, Ipv4Addr, Node> {
    Writer {
        upsert: Box::new(|_, node| said(datapath.upsert_node(node))),
        remove: Box::new(|ip| said(datapath.remove_node(*ip))),
    }
}

fn write_addresses(
    agent: &Agent,
    known: &[KnownNode],
    may_remove: bool,
) -> Result<Outcome, datapath::Error> {
    // Before the sources: an endpoint added after this line is not taken for one that is gone.
    let mut current: BTreeMap<Ipv4Net, IpEntry> = agent.datapath.ips()?.into_iter().collect();
    // Before identities are listed, a number of another namespace would pass for one that is only new.
    let ceps = if agent.watched.identities.synced() {
        agent.watched.endpoints.list()
    } else {
        Vec::new()
    };
    let slices = agent.watched.slices.of_namespace("default");
    let desired = ipcache::desired(&Sources {
        own_node: &agent.own.name,
        own_ip: agent.own.ip,
        router: agent.own.router,
        nodes: known,
        local: &local_identities(&agent.endpoints.list()),
        endpoints: &ceps.iter().map(AsRef::as_ref).collect::<Vec<_>>(),
        identities: &agent.identities(),
        api_servers: &addresses_of(slices.iter().map(AsRef::as_ref), ("default", "kubernetes")),
    });
    let writer = Writer {
        upsert: Box::new(|prefix, entry: &IpEntry| said(agent.datapath.upsert_ip(*prefix, *entry))),
        remove: Box::new(|prefix| said(agent.datapath.remove_ip(*prefix))),
    };
    Ok(difference::apply(
        &mut current,
        &desired,
        may_remove,
        writer,
    ))
}

#[cfg(test)]
mod tests;

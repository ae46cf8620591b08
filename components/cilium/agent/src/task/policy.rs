//! Identities and policies of this node's pods, as the cluster changes.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use crate::agent::{Agent, blocking};
use crate::bell::Bell;
use crate::endpoint::Endpoint;
use crate::nodes;
use crate::policy::Surroundings;
use crate::services::addresses_of;
use crate::status::too_large;
use crate::task::{REPAIR, RETRY};

/// Reason of the event about a policy that does not fit into the datapath.
const TOO_LARGE: &str = "PolicyTooLarge";

/// `node` rings when what has no room has changed.
pub async fn run(agent: Arc<Agent>, bell: Bell, node: Bell) {
    let mut pause = REPAIR;
    let mut told = None;
    let mut said = BTreeSet::new();
    loop {
        bell.wait(pause).await;
        // Before all are listed, "no such pod" would turn known pods back into `init`, and "no such policy" would open them.
        if !agent.watched.synced() {
            pause = RETRY;
            continue;
        }
        let worker = agent.clone();
        let failures = blocking(move || pass(&worker))
            .await
            .unwrap_or_else(|| vec!["policy task panicked".to_owned()]);
        pause = if failures.is_empty() { REPAIR } else { RETRY };
        if failures.is_empty() {
            agent.filled("policy");
        }
        agent.report("policy", failures.into_iter().next());
        let unplaced = agent.policies.unplaced();
        if unplaced != said {
            said = unplaced;
            node.ring();
        }
        let now = too_large(&agent);
        if now != told {
            // Untold, it is tried again with the next change.
            let tell = now.as_deref();
            if tell.is_none() || agent.announce(TOO_LARGE, tell.unwrap_or_default()).await {
                told = now;
            }
        }
    }
}

fn pass(agent: &Agent) -> Vec<String> {
    let began = Instant::now();
    let waited = waiting(agent);
    let endpoints = agent.endpoints.list();
    let unnamed = name_the_nameless(agent, &endpoints);
    let slices = agent.watched.slices.of_namespace("default");
    let api_servers = addresses_of(slices.iter().map(AsRef::as_ref), ("default", "kubernetes"));
    let pass = agent.policies.pass(
        &agent.watched,
        &Surroundings {
            local: &endpoints,
            routers: routers(agent),
            runs_api_server: api_servers.contains(&agent.own.ip),
        },
    );
    let mut failures = pass.failures;
    failures.extend(unnamed);
    let identities = agent.identities();
    let mut moved = false;
    for endpoint in endpoints {
        match agent.readmit(&endpoint, &identities) {
            None => {}
            Some(Ok(admitted)) => {
                // What is only written again moves nobody: each new epoch has every connection judged anew.
                let differs = endpoint.identity != admitted.identity.number
                    || endpoint.policy != admitted.policy;
                let given = agent.endpoints.set_identity(endpoint.id, &admitted);
                let touched = agent.tally.regenerated(&given);
                moved |= touched && (given.is_ok() || differs);
                failures.extend(given.err().map(|error| cilium_cni::error::chain(&error)));
            }
            Some(Err(failure)) => failures.push(failure),
        }
    }
    let in_use: BTreeSet<u32> = agent
        .endpoints
        .list()
        .iter()
        .map(|endpoint| endpoint.policy)
        .collect();
    if let Err(error) = agent.policies.release(&in_use, Instant::now()) {
        failures.push(cilium_cni::error::chain(&error));
    }
    if moved && let Err(error) = agent.datapath.new_epoch() {
        failures.push(cilium_cni::error::chain(&error));
    }
    agent.timings.policy_pass(began.elapsed());
    for (source, since) in waited {
        agent.timings.policy_delay(source, since.elapsed());
    }
    failures
}

/// Endpoints that an earlier process left and whose state cannot be read. What follows from a name is the next pass's, for which
/// naming rings.
fn name_the_nameless(agent: &Agent, endpoints: &[Endpoint]) -> Vec<String> {
    let mut failures = Vec::new();
    for endpoint in endpoints {
        let Some(pod) = agent.name_of(endpoint) else {
            continue;
        };
        tracing::info!(endpoint = endpoint.id, %pod, ip = %endpoint.ip, "Endpoint has its pod's name again");
        let named = agent.endpoints.name(endpoint.id, pod);
        failures.extend(named.err().map(|error| cilium_cni::error::chain(&error)));
    }
    failures
}

/// Since when changes of policies have waited, by kind.
fn waiting(agent: &Agent) -> Vec<(&'static str, Instant)> {
    let watched = &agent.watched;
    [
        ("k8s-network-policy", watched.network_policies.taken()),
        ("cilium-network-policy", watched.policies.taken()),
        (
            "cilium-clusterwide-network-policy",
            watched.clusterwide_policies.taken(),
        ),
    ]
    .into_iter()
    .filter_map(|(source, since)| Some((source, since?)))
    .collect()
}

/// The nodes' addresses in their pod ranges, each with the address policies know the node by.
fn routers(agent: &Agent) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let listed = agent.watched.nodes.list();
    let (known, _) = nodes::accept(listed.iter().map(AsRef::as_ref), &[]);
    known
        .into_iter()
        .filter_map(|node| Some((node.router?, node.ip)))
        .collect()
}

#[cfg(test)]
mod tests;

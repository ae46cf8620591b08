//! What rules that enforce nothing would deny of the traffic that was observed.

use std::collections::BTreeMap;

use crate::{
    rule::{Peer, PolicyKey, Rule},
    world::{Slot, Workload, World},
};

/// What is looked at.
pub const WINDOW: &str = "1h";

/// Asks Prometheus for the pairs of all clusters, in [`WINDOW`].
pub const QUERY: &str = "sum by (cluster_name, source_namespace, source_workload, destination_namespace, destination_workload) \
    (increase(hubble_flows_processed_total{cluster_name!=\"\", verdict=\"FORWARDED\", source_workload!=\"\", destination_workload!=\"\"}[1h])) > 0";

/// Rules that are not enforced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    pub rules: BTreeMap<PolicyKey, Rule>,
}

impl Trial {
    /// Whose trial it is; without rules it is nobody's.
    pub fn workspace(&self) -> Option<&str> {
        self.rules
            .values()
            .next()
            .map(|rule| rule.workspace.as_str())
    }
}

/// Pods of one workload, as flows name them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Side {
    pub slot: Slot,
    /// Name of the workload, without its kind.
    pub workload: String,
}

/// Traffic between two workloads.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub source: Side,
    pub destination: Side,
    /// Flows in the window.
    pub flows: f64,
}

/// The pairs a trial would deny on at least the ports it is about. Flows do not tell ports, so a pair the destination's other
/// ports allow is in it, too: it is what to look at, not what will break. A source we know nothing of would be denied.
pub fn dry_run<'a>(trial: &Trial, world: &World, pairs: &'a [Pair]) -> Vec<&'a Pair> {
    pairs
        .iter()
        .filter(|pair| denied(trial, world, pair))
        .collect()
}

fn denied(trial: &Trial, world: &World, pair: &Pair) -> bool {
    let Some(destination) = workload(world, &pair.destination) else {
        return false;
    };
    let source = workload(world, &pair.source).map(|workload| Peer {
        slot: pair.source.slot.clone(),
        account: workload.account.clone(),
    });
    let mut rules = trial
        .rules
        .iter()
        .filter(|(key, rule)| {
            key.slot == pair.destination.slot && rule.selects(&destination.labels)
        })
        .map(|(_, rule)| rule)
        .peekable();
    rules.peek().is_some()
        && !rules.any(|rule| {
            source
                .as_ref()
                .is_some_and(|peer| rule.peers.contains(peer))
        })
}

fn workload<'a>(world: &'a World, side: &Side) -> Option<&'a Workload> {
    let workloads = &world.namespaces.get(&side.slot)?.workloads;
    ["Deployment", "StatefulSet", "DaemonSet"]
        .iter()
        .find_map(|kind| workloads.get(&format!("{kind}/{}", side.workload)))
}

//! Says of each Cilium policy whether it is followed in full, in its condition `Valid`. What is not followed fails closed
//! in the agents; here people learn of it.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use cilium_api::CiliumNode;
use cilium_api::Condition;
use cilium_api::policy::{
    CiliumCIDRGroup, CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy, PolicyStatus, Refusal,
    UNPLACED_ANNOTATION, Unplaced, VALID, read_unplaced,
};
use kube::{Resource, api::ObjectMeta};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    cache::{Key, Snapshot},
    controller::{Controller, Decision},
    metrics::Metrics,
    seen::Unreadable,
    world::World,
    write::{Target, Write},
};

/// Reason and message of a policy that is followed in full; the message is Cilium's.
const FOLLOWED: (&str, &str) = ("Followed", "Policy validation succeeded");
/// Reason of a policy that is not.
const NOT_FOLLOWED: &str = "NotFollowed";
/// Refusals a message names; more would drown the first.
const NAMED: usize = 20;
/// Nodes a refusal names.
const NAMED_NODES: usize = 5;

/// The duty.
#[derive(Debug)]
pub struct PolicyValidity {
    metrics: Arc<Metrics>,
}

impl PolicyValidity {
    /// Counts policies in `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics }
    }
}

/// What is to be said of one policy.
struct Verdict {
    policy: Target,
    current: Option<Condition>,
    refusals: Vec<Refusal>,
}

impl Controller for PolicyValidity {
    const NAME: &'static str = "policy-validity";

    fn sources(&self, world: &World) -> Vec<watch::Receiver<u64>> {
        vec![
            world.policies.changes(),
            world.clusterwide_policies.changes(),
            world.cidr_groups.changes(),
            world.cilium_nodes.changes(),
        ]
    }

    fn decide(&mut self, world: &World, _now: Instant) -> Decision {
        let groups = world.cidr_groups.snapshot();
        let (policies, clusterwide) = (
            world.policies.snapshot(),
            world.clusterwide_policies.snapshot(),
        );
        let nodes = world.cilium_nodes.snapshot();
        // A group that is not seen yet is not an unknown one, and a node may still complain.
        if !groups.synced || !nodes.synced {
            return Decision::default();
        }
        let full = full(&nodes);
        let namespaced = verdicts(
            &policies,
            |policy: &CiliumNetworkPolicy| Said {
                status: policy.status.as_ref(),
                rules: [(&policy.spec, "spec"), (&policy.specs, "specs")],
                refusals: cilium_policy::validate(policy),
            },
            &groups,
            &full,
        );
        let clusterwide = verdicts(
            &clusterwide,
            |policy: &CiliumClusterwideNetworkPolicy| Said {
                status: policy.status.as_ref(),
                rules: [(&policy.spec, "spec"), (&policy.specs, "specs")],
                refusals: cilium_policy::validate_clusterwide(policy),
            },
            &groups,
            &full,
        );
        let all: Vec<Verdict> = namespaced.into_iter().chain(clusterwide).collect();
        let invalid = all
            .iter()
            .filter(|verdict| !verdict.refusals.is_empty())
            .count();
        self.metrics.policies(all.len() - invalid, invalid);
        Decision {
            writes: all.into_iter().filter_map(Verdict::write).collect(),
            again: None,
        }
    }
}

/// The parts of a policy that matter here.
struct Said<'a> {
    status: Option<&'a PolicyStatus>,
    rules: [(&'a Option<Value>, &'static str); 2],
    refusals: Vec<Refusal>,
}

fn verdicts<K: Resource<DynamicType = ()>>(
    policies: &Snapshot<K>,
    read: impl for<'a> Fn(&'a K) -> Said<'a>,
    groups: &Snapshot<CiliumCIDRGroup>,
    full: &Full,
) -> Vec<Verdict> {
    let readable = policies.objects.values().map(|policy| {
        let said = read(policy);
        let mut refusals = said.refusals;
        for (rules, path) in said.rules {
            refusals.extend(unknown_groups(rules.as_ref(), path, groups));
        }
        let target = Target::of(&**policy);
        refusals.extend(without_room(&K::kind(&()), &target.key, full));
        Verdict {
            policy: target,
            current: said.status.and_then(|status| valid(&status.conditions)),
            refusals,
        }
    });
    let unreadable = policies
        .unreadable
        .iter()
        .map(|(key, unreadable)| Verdict::of_unreadable(key, unreadable));
    readable.chain(unreadable).collect()
}

/// Which nodes have no room for which policies.
type Full = BTreeMap<Unplaced, Vec<String>>;

/// As their agents say.
fn full(nodes: &Snapshot<CiliumNode>) -> Full {
    let mut full = Full::new();
    for (key, node) in &nodes.objects {
        let annotations = node.metadata.annotations.iter().flatten();
        for (_, said) in annotations.filter(|(key, _)| *key == UNPLACED_ANNOTATION) {
            for policy in read_unplaced(said) {
                full.entry(policy).or_default().push(key.name.clone());
            }
        }
    }
    full
}

fn without_room(kind: &str, key: &Key, full: &Full) -> Option<Refusal> {
    let nodes = full.get(&Unplaced {
        kind: kind.to_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    })?;
    let named = nodes
        .iter()
        .take(NAMED_NODES)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let others = nodes.len().saturating_sub(NAMED_NODES);
    let others = if others == 0 {
        String::new()
    } else {
        format!(" and {others} more")
    };
    Some(Refusal::new(
        format!("the datapath of {named}{others}"),
        "has no room for its entries; what held before stays in force there, and pods that come are closed; choose fewer peers or ports, or wider networks",
    ))
}

fn valid(conditions: &[Condition]) -> Option<Condition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == VALID)
        .cloned()
}

impl Verdict {
    fn of_unreadable(key: &Key, unreadable: &Unreadable) -> Self {
        let raw = &unreadable.raw;
        let metadata = ObjectMeta::deserialize(&raw["metadata"]).unwrap_or_default();
        let conditions = Vec::<Condition>::deserialize(&raw["status"]["conditions"]);
        let conditions = conditions.unwrap_or_default();
        Self {
            policy: Target {
                key: key.clone(),
                uid: metadata.uid,
                resource_version: metadata.resource_version,
            },
            current: valid(&conditions),
            refusals: vec![Refusal::new(
                "the object",
                format!("cannot be read: {}", unreadable.error),
            )],
        }
    }

    /// `None` when the policy says so already.
    fn write(self) -> Option<Write> {
        let followed = self.refusals.is_empty();
        let (reason, message) = if followed {
            (FOLLOWED.0, FOLLOWED.1.to_owned())
        } else {
            (NOT_FOLLOWED, message(&self.refusals))
        };
        let status = if followed { "True" } else { "False" };
        let current = self.current.unwrap_or_default();
        let same_status = current.status == status;
        let same = same_status
            && current.reason.as_deref() == Some(reason)
            && current.message.as_deref() == Some(message.as_str());
        (!same).then(|| Write::PolicyValid {
            policy: self.policy,
            status,
            reason,
            message,
            since: current.last_transition_time.filter(|_| same_status),
        })
    }
}

fn message(refusals: &[Refusal]) -> String {
    let mut sentences: Vec<String> = refusals
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    if refusals.len() > NAMED {
        sentences.push(format!("and {} more", refusals.len() - NAMED));
    }
    sentences.join("; ")
}

/// References to groups that are not there. They select nobody until the group is.
fn unknown_groups(
    rules: Option<&Value>,
    path: &str,
    groups: &Snapshot<CiliumCIDRGroup>,
) -> Vec<Refusal> {
    let known = |name: &str| {
        let key = Key::cluster(name);
        groups.objects.contains_key(&key) || groups.unreadable.contains_key(&key)
    };
    references(rules, path)
        .into_iter()
        .filter(|(_, name)| !known(name))
        .map(|(path, name)| {
            let reason = format!(
                "there is no CiliumCIDRGroup {name}; it selects nobody until the group is created"
            );
            Refusal::new(path, reason)
        })
        .collect()
}

/// Every `cidrGroupRef` with its path. What has another shape than a policy's is passed over: validation names it.
fn references(rules: Option<&Value>, path: &str) -> Vec<(String, String)> {
    let one = |rule: &Value, path: &str| -> Vec<(String, String)> {
        let mut found = Vec::new();
        for section in ["ingress", "ingressDeny", "egress", "egressDeny"] {
            for (at, peers) in elements(&rule[section], &format!("{path}.{section}")) {
                for field in ["fromCIDRSet", "toCIDRSet"] {
                    for (at, set) in elements(&peers[field], &format!("{at}.{field}")) {
                        if let Some(name) = set["cidrGroupRef"].as_str() {
                            found.push((format!("{at}.cidrGroupRef"), name.to_owned()));
                        }
                    }
                }
            }
        }
        found
    };
    match rules {
        Some(list @ Value::Array(_)) => elements(list, path)
            .flat_map(|(at, rule)| one(rule, &at))
            .collect(),
        Some(rule) => one(rule, path),
        None => Vec::new(),
    }
}

/// Elements of a list with their paths; nothing of what is no list.
fn elements<'a>(list: &'a Value, path: &str) -> impl Iterator<Item = (String, &'a Value)> {
    list.as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(move |(number, element)| (format!("{path}[{number}]"), element))
}

#[cfg(test)]
mod tests;

//! One policy of the output, and its form as a CiliumNetworkPolicy.

use std::collections::{BTreeMap, BTreeSet};

use gloo_api::labels::{Parent, ownership};
use ipnet::IpNet;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::world::{Labels, Place, PodPort, Slot};

/// A ServiceAccount of a cluster: who a pod is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    pub slot: Slot,
    pub account: String,
}

/// What a policy is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyKey {
    pub slot: Slot,
    pub name: String,
}

/// Which resource a policy was made from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    Settings(Place),
    Access(Place),
}

impl Origin {
    pub fn place(&self) -> &Place {
        match self {
            Self::Settings(place) | Self::Access(place) => place,
        }
    }
}

/// Labels, each with a value, of which a pod has none.
pub type Excluded = BTreeSet<(String, String)>;

/// Who reaches some pods. Nobody else does, as long as no other policy selects them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub workspace: String,
    pub origin: Origin,
    /// Labels of the pods; empty: every pod of the namespace.
    pub selector: Labels,
    /// Pods with one of these are somebody else's to answer for.
    pub except: Excluded,
    /// Empty: all ports.
    pub ports: BTreeSet<PodPort>,
    pub peers: BTreeSet<Peer>,
    /// Addresses outside the clusters.
    pub blocks: BTreeSet<IpNet>,
}

impl Rule {
    /// Whether a pod with these labels is meant.
    pub fn selects(&self, labels: &Labels) -> bool {
        let excluded = |(label, value): &(String, String)| labels.get(label) == Some(value);
        crate::select::labelled(&self.selector, labels) && !self.except.iter().any(excluded)
    }

    /// As the agent of `key`'s cluster applies it.
    pub fn manifest(&self, key: &PolicyKey) -> Value {
        json!({
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": {
                "name": key.name,
                "namespace": key.slot.namespace,
                "labels": self.labels(&key.slot),
            },
            "spec": {
                "endpointSelector": self.endpoints(),
                "ingress": self.ingress(),
            },
        })
    }

    fn endpoints(&self) -> Value {
        let mut endpoints = json!({"matchLabels": prefixed(&self.selector)});
        let mut values: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
        for (label, value) in &self.except {
            values.entry(label).or_default().push(value);
        }
        let without: Vec<_> = values
            .into_iter()
            .map(|(label, values)| {
                json!({"key": format!("any:{label}"), "operator": "NotIn", "values": values})
            })
            .collect();
        if !without.is_empty() {
            endpoints["matchExpressions"] = json!(without);
        }
        endpoints
    }

    fn labels(&self, slot: &Slot) -> BTreeMap<String, String> {
        let place = self.origin.place();
        let (group, kind) = match self.origin {
            Origin::Settings(_) => ("admin.gloo.solo.io", "WorkspaceSettings"),
            Origin::Access(_) => ("security.policy.gloo.solo.io", "AccessPolicy"),
        };
        let parent = Parent {
            group,
            version: "v2",
            kind,
            cluster: &place.slot.cluster,
            namespace: &place.slot.namespace,
            name: &place.name,
        };
        ownership(&slot.cluster, &slot.namespace, &self.workspace, &parent)
    }

    fn ingress(&self) -> Vec<Value> {
        let mut rules = Vec::new();
        // An empty list is nobody; left out it would be everybody.
        if !self.peers.is_empty() || self.blocks.is_empty() {
            let peers: Vec<_> = self.peers.iter().map(selector).collect();
            rules.push(json!({"fromEndpoints": peers}));
        }
        if !self.blocks.is_empty() {
            rules.push(json!({"fromCIDR": self.blocks}));
        }
        if !self.ports.is_empty() {
            let ports: Vec<_> = self
                .ports
                .iter()
                .map(|port| json!({"port": port.port, "protocol": port.protocol}))
                .collect();
            for rule in &mut rules {
                rule["toPorts"] = json!([{"ports": ports}]);
            }
        }
        rules
    }
}

fn prefixed(labels: &Labels) -> BTreeMap<String, &String> {
    labels
        .iter()
        .map(|(label, value)| (format!("any:{label}"), value))
        .collect()
}

/// The original leaves the cluster out, and lets in namesakes from everywhere.
fn selector(peer: &Peer) -> Value {
    json!({"matchLabels": {
        "k8s:io.cilium.k8s.policy.cluster": peer.slot.cluster.as_str(),
        "k8s:io.cilium.k8s.policy.serviceaccount": peer.account,
        "k8s:io.kubernetes.pod.namespace": peer.slot.namespace,
    }})
}

/// Name of the isolation of a service's port. Within a namespace, which has one workspace, no two are the same.
/// What is not the first of its pieces is numbered after a dot, which no service's name has.
pub(crate) fn isolation_name(service: &str, port: u16, workspace: &str, piece: usize) -> String {
    let name = format!("settings-{service}-{port}-{workspace}");
    fitting(match piece {
        0 => name,
        _ => format!("{name}.{piece}"),
    })
}

/// Name of what an access policy makes of `target`. The digest tells policies of one name in different places apart.
pub(crate) fn access_name(policy: &Place, target: &str) -> String {
    let place = [
        policy.slot.cluster.as_str(),
        &policy.slot.namespace,
        &policy.name,
        target,
    ];
    let digest = digest(&place.join("/"));
    fitting(format!("access-{}-{target}-{digest}", policy.name))
}

const LONGEST: usize = 253;

/// Too long a name is cut, and ends with a digest of all of it.
fn fitting(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let digest = digest(&name);
    let room = LONGEST - digest.len() - 1;
    let cut: String = name
        .chars()
        .take(room)
        .collect::<String>()
        .trim_end_matches(['-', '.'])
        .to_owned();
    format!("{cut}-{digest}")
}

fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(5).fold(String::new(), |mut hex, byte| {
        use std::fmt::Write;
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests;

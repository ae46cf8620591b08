//! Network policies of every kind, and what they leave open.

use serde::{Deserialize, Serialize};

/// What was found about policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicies {
    /// Policies with something to say about them; one that is as it should be is only counted.
    pub remarkable: Vec<Policy>,
    pub total: usize,
    /// Namespaces with pods of the pod network.
    pub namespaces: Vec<Namespace>,
}

/// One policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of its own"
)]
pub struct Policy {
    /// NetworkPolicy, CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy.
    pub kind: String,
    /// Empty for a cluster-wide one.
    pub namespace: String,
    pub name: String,
    /// Pods it selects.
    pub selects: usize,
    /// Its condition Valid is False: the reason.
    pub invalid: Option<String>,
    /// Some ingress rule lets everybody in, on every port.
    pub allows_all_ingress: bool,
    /// Some egress rule lets out to everywhere, on every port.
    pub allows_all_egress: bool,
    /// Some ingress rule names the world (`world`, `0.0.0.0/0`).
    pub from_world: bool,
    /// Some rule names the nodes (`host`, `remote-node`).
    pub host: bool,
    /// Another policy that lets the same pods do everything: this one changes nothing.
    pub shadowed_by: Option<String>,
}

impl Policy {
    /// As people say it.
    pub fn sentence(&self) -> String {
        if self.namespace.is_empty() {
            format!("{} {}", self.kind, self.name)
        } else {
            format!("{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// What policies do for a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    pub name: String,
    pub pods: usize,
    /// Pods some policy isolates for ingress.
    pub ingress_isolated: usize,
    pub egress_isolated: usize,
    /// Some policy selects all its pods for ingress.
    pub default_deny: bool,
    /// One of Kubernetes' own or of the platform.
    pub system: bool,
}

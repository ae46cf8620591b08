//! From policy objects to [`Policy`]: what they say is checked here, once, and what is not followed is named.

mod cilium;
mod network_policy;
mod peers;
mod ports;
mod selectors;

use cilium_api::{
    CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy,
    policy::{Refusal, read_rules},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub(crate) use network_policy::network_policy;

use crate::{
    fault::Faults,
    input::{PolicyId, PolicyKind, PolicyRef},
    rule::Policy,
};

/// What a policy is read against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// Namespace of the policy; `None` for a clusterwide one.
    pub(crate) namespace: Option<&'a str>,
    pub(crate) host_runs_apiserver: bool,
    pub(crate) faults: Faults,
}

/// What the agent knows about itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Host {
    pub(crate) runs_apiserver: bool,
    pub(crate) faults: Faults,
}

/// Parts of a CiliumNetworkPolicy that are not followed, each a sentence with its path. Empty: all of it is.
pub fn validate(policy: &CiliumNetworkPolicy) -> Vec<Refusal> {
    cilium_policy(policy, Host::default()).refusals
}

/// As [`validate`], for a clusterwide policy.
pub fn validate_clusterwide(policy: &CiliumClusterwideNetworkPolicy) -> Vec<Refusal> {
    clusterwide_policy(policy, Host::default()).refusals
}

pub(crate) fn cilium_policy(policy: &CiliumNetworkPolicy, host: Host) -> Policy {
    let (id, uid) = identify(PolicyKind::CiliumNetworkPolicy, &policy.metadata);
    let namespace = id.namespace.clone();
    let context = host.context(Some(&namespace));
    let read = read_rules(policy.spec.as_ref(), policy.specs.as_ref());
    cilium::policy(id, &uid, read, context)
}

pub(crate) fn clusterwide_policy(policy: &CiliumClusterwideNetworkPolicy, host: Host) -> Policy {
    let kind = PolicyKind::CiliumClusterwideNetworkPolicy;
    let (id, uid) = identify(kind, &policy.metadata);
    let read = read_rules(policy.spec.as_ref(), policy.specs.as_ref());
    cilium::policy(id, &uid, read, host.context(None))
}

impl Host {
    fn context(self, namespace: Option<&str>) -> Context<'_> {
        Context {
            namespace,
            host_runs_apiserver: self.runs_apiserver,
            faults: self.faults,
        }
    }
}

/// Name and UID of a policy object. A namespaced one without namespace is in `default`, as for kubectl.
pub(crate) fn identify(kind: PolicyKind, metadata: &ObjectMeta) -> (PolicyId, String) {
    let namespace = match kind {
        PolicyKind::CiliumClusterwideNetworkPolicy => String::new(),
        PolicyKind::NetworkPolicy | PolicyKind::CiliumNetworkPolicy => metadata
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned()),
    };
    let id = PolicyId {
        kind,
        namespace,
        name: metadata.name.clone().unwrap_or_default(),
    };
    (id, metadata.uid.clone().unwrap_or_default())
}

fn origin(id: &PolicyId, uid: &str, labels: Vec<String>, log: String) -> PolicyRef {
    PolicyRef {
        id: id.clone(),
        uid: uid.to_owned(),
        labels,
        log,
    }
}

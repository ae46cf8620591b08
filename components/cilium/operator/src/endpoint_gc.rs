//! Removes CiliumEndpoints whose pod is gone, those whose address belongs to another node, and those whose number to
//! another pod.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use cilium_api::{
    CiliumEndpoint, CiliumIdentity, CiliumNode, NumericIdentity, identity_labels,
    names::{CLUSTER_LABEL, K8S_SOURCE},
};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Resource, ResourceExt};
use tokio::sync::watch;

use crate::{
    cache::{Key, Snapshot},
    controller::{Controller, Decision},
    grace::Grace,
    identities::controller::has_endpoint,
    metrics::Metrics,
    world::World,
    write::{Target, Write},
};

/// Why an endpoint may not stay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No pod it could belong to.
    Orphan,
    /// An address outside the podCIDRs of its pod's node.
    ForeignAddress(Ipv4Addr),
    /// A node that its pod's node is not: it had another address when the endpoint was written, and its agent may not change
    /// what seems to be another's.
    ForeignNode(Ipv4Addr),
    /// The number of other labels than its pod's.
    ForeignIdentity(NumericIdentity),
}

/// Compares an endpoint with the pod of its name and that pod's node (`None`: not known).
pub fn fault(
    endpoint: &CiliumEndpoint,
    pod: Option<&Pod>,
    node: Option<&CiliumNode>,
) -> Option<Fault> {
    let Some(pod) = pod else {
        return Some(Fault::Orphan);
    };
    let owner = endpoint
        .metadata
        .owner_references
        .iter()
        .flatten()
        .find(|o| o.kind == "Pod");
    if owner.is_some_and(|o| Some(&o.uid) != pod.metadata.uid.as_ref()) || !has_endpoint(pod) {
        return Some(Fault::Orphan);
    }
    let addresses = endpoint
        .status
        .networking
        .iter()
        .flat_map(|n| &n.addressing);
    let mut addresses = addresses.filter_map(|pair| pair.ipv4.as_deref()?.parse().ok());
    let node = node?;
    let cidrs: Vec<Ipv4Net> = node.pod_cidrs().collect();
    let foreign = |ip: &Ipv4Addr| !cidrs.is_empty() && !cidrs.iter().any(|c| c.contains(ip));
    let address = addresses.find(foreign).map(Fault::ForeignAddress);
    address.or_else(|| elsewhere(endpoint, node))
}

fn elsewhere(endpoint: &CiliumEndpoint, node: &CiliumNode) -> Option<Fault> {
    let networking = endpoint.status.networking.as_ref()?;
    let said: Ipv4Addr = networking.node.as_deref()?.parse().ok()?;
    let own = node.internal_ipv4()?;
    (said != own).then_some(Fault::ForeignNode(said))
}

/// Compares the number an endpoint claims with its pod. `identity` is what the number is known to stand for: an endpoint
/// whose number stands for nothing has nobody's rights. A release that derives other labels must forgive agents of the one before.
pub fn borrowed(
    endpoint: &CiliumEndpoint,
    pod: &Pod,
    namespace: &Namespace,
    identity: &CiliumIdentity,
) -> Option<Fault> {
    let number = endpoint.status.identity.as_ref()?.number()?;
    let theirs = &identity.security_labels;
    // Agents learn another name of the cluster one after the other; it makes nobody another pod.
    let cluster = theirs
        .as_map()
        .get(&format!("{K8S_SOURCE}:{CLUSTER_LABEL}"));
    let own = identity_labels(pod, namespace, cluster.map_or("", String::as_str));
    (own != *theirs).then_some(Fault::ForeignIdentity(number))
}

/// The duty.
#[derive(Debug)]
pub struct EndpointGc {
    orphans: Grace<Key>,
    foreign: Grace<Key>,
    borrowed: Grace<(Key, NumericIdentity)>,
    /// When numbers were last compared with labels.
    compared: Option<Instant>,
    metrics: Arc<Metrics>,
}

/// The caches of pods, nodes and endpoints may be this far apart.
const SKEW: Duration = Duration::from_secs(5);

/// A pod whose labels change has its old number until its agent writes the new one: at once, or when it is back.
const AWAY: Duration = Duration::from_mins(5);

/// Between two comparisons of numbers with labels: they make the labels of every pod, and what they find has [`AWAY`] to go.
const COMPARE: Duration = Duration::from_secs(30);

impl EndpointGc {
    /// Orphans go after `grace`.
    pub fn new(grace: Duration, metrics: Arc<Metrics>) -> Self {
        Self {
            orphans: Grace::new(grace),
            foreign: Grace::new(SKEW),
            borrowed: Grace::new(AWAY),
            compared: None,
            metrics,
        }
    }
}

impl Controller for EndpointGc {
    const NAME: &'static str = "endpoint-gc";

    fn sources(&self, world: &World) -> Vec<watch::Receiver<u64>> {
        vec![
            world.endpoints.changes(),
            world.pods.changes(),
            world.cilium_nodes.changes(),
        ]
    }

    fn decide(&mut self, world: &World, now: Instant) -> Decision {
        let (endpoints, pods) = (world.endpoints.snapshot(), world.pods.snapshot());
        let nodes = world.cilium_nodes.snapshot();
        if !(endpoints.synced && pods.synced && nodes.synced) {
            self.orphans.restart();
            self.foreign.restart();
            self.borrowed.restart();
            return Decision::default();
        }
        let compare = (self.compared).is_none_or(|at| now.duration_since(at) >= COMPARE);
        if compare {
            self.compared = Some(now);
        }
        let known = compare.then(|| Known {
            namespaces: world.namespaces.snapshot(),
            identities: world.identities.snapshot(),
        });
        let mut faults = BTreeMap::new();
        for (key, endpoint) in endpoints
            .objects
            .iter()
            .filter(|(key, _)| !pods.unreadable.contains_key(key))
        {
            let pod = pods.objects.get(key).map(AsRef::as_ref);
            let fault = fault(endpoint, pod, node_of(pod, &nodes))
                .or_else(|| known.as_ref()?.borrowed(endpoint, pod?));
            faults.extend(fault.map(|fault| (key.clone(), fault)));
        }
        let due = self.due(&faults, compare, now);
        let seen = due
            .iter()
            .filter_map(|key| endpoints.objects.get_key_value(key));
        let again = [
            self.orphans.next(now),
            self.foreign.next(now),
            self.borrowed.next(now),
            // What came or fell due since the last comparison waits for the next one.
            self.compared
                .filter(|_| !compare)
                .map(|at| (at + COMPARE).saturating_duration_since(now)),
        ];
        Decision {
            writes: seen
                .flat_map(|(key, endpoint)| removal(endpoint, &faults[key]))
                .collect(),
            again: again.into_iter().flatten().min(),
        }
    }

    fn written(&mut self, write: &Write) {
        if matches!(write, Write::DeleteEndpoint(_)) {
            self.metrics.endpoint_removed();
        }
    }
}

impl EndpointGc {
    /// `compared`: whether these are all faults there are, numbers of others among them.
    fn due(
        &mut self,
        faults: &BTreeMap<Key, Fault>,
        compared: bool,
        now: Instant,
    ) -> BTreeSet<Key> {
        let (mut orphans, mut foreign, mut borrowed) = (Vec::new(), Vec::new(), Vec::new());
        for (key, fault) in faults {
            match fault {
                Fault::Orphan => orphans.push(key.clone()),
                Fault::ForeignAddress(_) | Fault::ForeignNode(_) => foreign.push(key.clone()),
                Fault::ForeignIdentity(number) => borrowed.push((key.clone(), *number)),
            }
        }
        let mut due = self.orphans.due(orphans, now);
        due.extend(self.foreign.due(foreign, now));
        if compared {
            let borrowed = self.borrowed.due(borrowed, now);
            due.extend(borrowed.into_iter().map(|(key, _)| key));
        }
        due.into_iter().collect()
    }
}

/// What a number is compared with.
struct Known {
    namespaces: Snapshot<Namespace>,
    identities: Snapshot<CiliumIdentity>,
}

impl Known {
    fn borrowed(&self, endpoint: &CiliumEndpoint, pod: &Pod) -> Option<Fault> {
        let number = endpoint.status.identity.as_ref()?.number()?;
        let namespace = pod.metadata.namespace.as_deref()?;
        borrowed(
            endpoint,
            pod,
            self.namespaces.objects.get(&Key::cluster(namespace))?,
            self.identities
                .objects
                .get(&Key::cluster(&number.to_string()))?,
        )
    }
}

fn node_of<'a>(pod: Option<&Pod>, nodes: &'a Snapshot<CiliumNode>) -> Option<&'a CiliumNode> {
    let node = pod?.spec.as_ref()?.node_name.as_deref()?;
    nodes.objects.get(&Key::cluster(node)).map(AsRef::as_ref)
}

/// An orphan goes silently; of the others somebody should know.
fn removal(endpoint: &CiliumEndpoint, fault: &Fault) -> Vec<Write> {
    let name = format!(
        "{}/{}",
        endpoint.namespace().unwrap_or_default(),
        endpoint.name_any()
    );
    let told = match fault {
        Fault::Orphan => None,
        Fault::ForeignAddress(ip) => Some((
            "EndpointAddressRefused",
            format!(
                "address {ip} of CiliumEndpoint {name} lies outside the podCIDRs of its pod's node; it is removed"
            ),
        )),
        Fault::ForeignNode(ip) => Some((
            "EndpointAddressRefused",
            format!(
                "CiliumEndpoint {name} names the node with {ip}, which its pod's node is not; it is removed, and the agent of that node writes it anew"
            ),
        )),
        Fault::ForeignIdentity(number) => Some((
            "EndpointIdentityRefused",
            format!(
                "identity {number} of CiliumEndpoint {name} stands for other labels than its pod has; it is removed. Either the agent of its node has been away or somebody else writes as that agent"
            ),
        )),
    };
    let event = told.map(|(reason, note)| Write::Event {
        about: Box::new(endpoint.object_ref(&())),
        reason,
        note,
    });
    let delete = Write::DeleteEndpoint(Target::of(endpoint));
    event.into_iter().chain([delete]).collect()
}

#[cfg(test)]
mod tests;

//! Removes CiliumEndpoints whose pod is gone, and those whose address belongs to another node.

use std::{
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use cilium_api::{CiliumEndpoint, CiliumNode};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::Pod;
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
}

/// Compares an endpoint with the pod of its name and the podCIDRs of that pod's node (`None`: not known).
pub fn fault(
    endpoint: &CiliumEndpoint,
    pod: Option<&Pod>,
    cidrs: Option<&[Ipv4Net]>,
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
    let cidrs = cidrs?;
    addresses
        .find(|ip| !cidrs.iter().any(|c| c.contains(ip)))
        .map(Fault::ForeignAddress)
}

/// The duty.
#[derive(Debug)]
pub struct EndpointGc {
    orphans: Grace<Key>,
    foreign: Grace<Key>,
    metrics: Arc<Metrics>,
}

/// The caches of pods, nodes and endpoints may be this far apart.
const SKEW: Duration = Duration::from_secs(5);

impl EndpointGc {
    /// Orphans go after `grace`.
    pub fn new(grace: Duration, metrics: Arc<Metrics>) -> Self {
        Self {
            orphans: Grace::new(grace),
            foreign: Grace::new(SKEW),
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
            return Decision::default();
        }
        let (mut orphans, mut foreign) = (Vec::new(), Vec::new());
        for (key, endpoint) in endpoints
            .objects
            .iter()
            .filter(|(key, _)| !pods.unreadable.contains_key(key))
        {
            let pod = pods.objects.get(key).map(AsRef::as_ref);
            match fault(endpoint, pod, cidrs_of(pod, &nodes).as_deref()) {
                Some(Fault::Orphan) => orphans.push(key.clone()),
                Some(Fault::ForeignAddress(ip)) => foreign.push((key.clone(), ip)),
                None => {}
            }
        }
        let mut writes = remove(self.orphans.due(orphans, now), &endpoints);
        let refused = self
            .foreign
            .due(foreign.iter().map(|(key, _)| key.clone()), now);
        let due = foreign.iter().filter(|(key, _)| refused.contains(key));
        writes.extend(due.filter_map(|(key, ip)| Some(refusal(endpoints.objects.get(key)?, *ip))));
        writes.extend(remove(refused, &endpoints));
        Decision {
            writes,
            again: self
                .orphans
                .next(now)
                .into_iter()
                .chain(self.foreign.next(now))
                .min(),
        }
    }

    fn written(&mut self, write: &Write) {
        if matches!(write, Write::DeleteEndpoint(_)) {
            self.metrics.endpoint_removed();
        }
    }
}

fn cidrs_of(pod: Option<&Pod>, nodes: &Snapshot<CiliumNode>) -> Option<Vec<Ipv4Net>> {
    let node = pod?.spec.as_ref()?.node_name.as_deref()?;
    let cidrs: Vec<Ipv4Net> = nodes
        .objects
        .get(&Key::cluster(node))?
        .pod_cidrs()
        .collect();
    (!cidrs.is_empty()).then_some(cidrs)
}

fn remove(keys: Vec<Key>, endpoints: &Snapshot<CiliumEndpoint>) -> Vec<Write> {
    let objects = keys.iter().filter_map(|key| endpoints.objects.get(key));
    objects
        .map(|e| Write::DeleteEndpoint(Target::of(e.as_ref())))
        .collect()
}

fn refusal(endpoint: &CiliumEndpoint, ip: Ipv4Addr) -> Write {
    let name = format!(
        "{}/{}",
        endpoint.namespace().unwrap_or_default(),
        endpoint.name_any()
    );
    Write::Event {
        about: Box::new(endpoint.object_ref(&())),
        reason: "EndpointAddressRefused",
        note: format!(
            "address {ip} of CiliumEndpoint {name} lies outside the podCIDRs of its pod's node; it is removed"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoint(ip: &str) -> CiliumEndpoint {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop",
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "1"}]},
            "status": {"networking": {"addressing": [{"ipv4": ip}]}},
        }))
        .unwrap()
    }

    fn pod(uid: &str, phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": uid},
            "spec": {"containers": [], "nodeName": "worker-1"}, "status": {"phase": phase},
        }))
        .unwrap()
    }

    fn cidrs() -> Vec<Ipv4Net> {
        vec!["10.244.1.0/24".parse().unwrap()]
    }

    #[test]
    fn an_endpoint_with_its_pod_stays() {
        assert_eq!(
            fault(
                &endpoint("10.244.1.5"),
                Some(&pod("1", "Running")),
                Some(&cidrs())
            ),
            None
        );
        assert_eq!(
            fault(&endpoint("10.244.9.5"), Some(&pod("1", "Running")), None),
            None
        );
    }

    #[test]
    fn an_endpoint_whose_pod_is_gone_finished_or_another_is_an_orphan() {
        let endpoint = endpoint("10.244.1.5");
        for pod in [
            None,
            Some(pod("2", "Running")),
            Some(pod("1", "Failed")),
            Some(pod("1", "Succeeded")),
        ] {
            assert_eq!(
                fault(&endpoint, pod.as_ref(), Some(&cidrs())),
                Some(Fault::Orphan)
            );
        }
    }

    #[test]
    fn an_address_of_another_node_is_a_fault() {
        let fault = fault(
            &endpoint("10.244.2.5"),
            Some(&pod("1", "Running")),
            Some(&cidrs()),
        );
        assert_eq!(fault, Some(Fault::ForeignAddress([10, 244, 2, 5].into())));
    }
}

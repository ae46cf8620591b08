//! The objects this agent writes about its own node and pods. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use cilium_api::endpoint::{
    EndpointIdentity, EndpointNetworking, EndpointPolicy, ExternalIdentifiers, NamedPort,
    PolicyDirection,
};
use cilium_api::node::AddressPair;
use cilium_api::policy::{UNPLACED_ANNOTATION, Unplaced, write_unplaced};
use cilium_api::{CiliumEndpoint, EndpointStatus};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::identity::Resolved;
use crate::policy::Enforcement;

/// Cilium's annotation with the range a node runs with; an operator that lost its records gives it back.
pub const POD_CIDR_ANNOTATION: &str = "network.cilium.io/ipv4-pod-cidr";

/// The node as the agent may describe it: never its podCIDRs or labels, which are the operator's to give.
///
/// `running` is the range the agent runs with or ran with; it is said even when `given`, the object's podCIDRs, are gone.
/// The router's address is only said inside them, as the admission policy demands. `unplaced` are policies without room.
pub fn cilium_node(
    name: &str,
    ip: Ipv4Addr,
    running: Option<Ipv4Net>,
    router: Option<Ipv4Addr>,
    given: &[Ipv4Net],
    boot_id: &str,
    unplaced: &BTreeSet<Unplaced>,
) -> Value {
    let mut annotations = json!({});
    if let Some(cidr) = running {
        annotations[POD_CIDR_ANNOTATION] = json!(cidr);
    }
    if let Some(unplaced) = write_unplaced(unplaced) {
        annotations[UNPLACED_ANNOTATION] = unplaced.into();
    }
    let mut addresses = vec![json!({"type": "InternalIP", "ip": ip})];
    if let Some(router) = router.filter(|router| given.iter().any(|cidr| cidr.contains(router))) {
        addresses.push(json!({"type": "CiliumInternalIP", "ip": router}));
    }
    json!({
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNode",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"addresses": addresses, "bootid": boot_id},
    })
}

/// What is told of an endpoint besides what it holds itself.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// UID of the Pod object. A static pod's own is another.
    pub uid: String,
    pub enforcement: Enforcement,
    pub named_ports: Vec<NamedPort>,
    pub service_account: Option<String>,
    /// Of the pod. Cilium puts them on the endpoint, too.
    pub labels: BTreeMap<String, String>,
}

/// An endpoint of a Pod; `None` for one that belongs to no Pod we know. It goes with its Pod by the owner reference.
pub fn cilium_endpoint(
    endpoint: &Endpoint,
    node: Ipv4Addr,
    about: &About,
) -> Option<CiliumEndpoint> {
    let pod = endpoint.pod.as_ref().filter(|pod| !pod.uid.is_empty())?;
    let status = EndpointStatus {
        id: Some(endpoint.id.into()),
        external_identifiers: Some(ExternalIdentifiers {
            cni_attachment_id: Some(endpoint.attachment.to_string()),
            container_id: Some(endpoint.attachment.container_id.clone()),
            k8s_namespace: Some(pod.namespace.clone()),
            k8s_pod_name: Some(pod.name.clone()),
            pod_name: Some(pod.to_string()),
        }),
        identity: Some(EndpointIdentity {
            id: endpoint.identity.0.into(),
            labels: endpoint.labels.clone(),
        }),
        networking: Some(EndpointNetworking {
            addressing: vec![AddressPair {
                ipv4: Some(endpoint.ip.to_string()),
                ipv6: None,
            }],
            node: Some(node.to_string()),
        }),
        policy: Some(EndpointPolicy {
            ingress: Some(direction(about.enforcement.ingress)),
            egress: Some(direction(about.enforcement.egress)),
        }),
        named_ports: about.named_ports.clone(),
        service_account: about.service_account.clone(),
        state: Some(endpoint.state),
        ..EndpointStatus::default()
    };
    let mut object = CiliumEndpoint::new(&pod.name, status);
    object.metadata.namespace = Some(pod.namespace.clone());
    object.metadata.labels = Some(about.labels.clone()).filter(|labels| !labels.is_empty());
    object.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: pod.name.clone(),
        uid: about.uid.clone(),
        ..OwnerReference::default()
    }]);
    Some(object)
}

/// Whether a CiliumEndpoint of a Pod of this node claims an address it has no more: after a reboot, until its pod has started again,
/// or for ever. The other nodes would take whoever is given the address for it.
pub fn is_stale(pod: &Pod, claimed: &CiliumEndpoint, local: &[Endpoint], node: Ipv4Addr) -> bool {
    let Some(networking) = &claimed.status.networking else {
        return false;
    };
    if networking.node.as_deref().and_then(|ip| ip.parse().ok()) != Some(node) {
        return false;
    }
    let addresses = networking.addressing.iter();
    let mut addresses = addresses.filter_map(|pair| pair.ipv4.as_deref()?.parse::<Ipv4Addr>().ok());
    addresses.any(|address| {
        match local.iter().find(|endpoint| endpoint.ip == address) {
            // One that lost its name may be this pod's.
            Some(holder) => holder.pod.as_ref().is_some_and(|holder| {
                Some(&holder.namespace) != pod.metadata.namespace.as_ref()
                    || Some(&holder.name) != pod.metadata.name.as_ref()
            }),
            // With a Pod that ends its CiliumEndpoint goes, too.
            None => !is_ending(pod),
        }
    })
}

fn is_ending(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed"))
}

/// A merge patch that takes the claim back: of this very object, which may have been written again meanwhile.
pub fn withdrawal(claimed: &CiliumEndpoint) -> Value {
    let init = Resolved::init();
    json!({
        "metadata": {
            "uid": claimed.metadata.uid,
            "resourceVersion": claimed.metadata.resource_version,
        },
        "status": {
            "identity": {"id": init.number.0, "labels": init.labels},
            "networking": null,
        },
    })
}

fn direction(enforcing: bool) -> PolicyDirection {
    let state = if enforcing {
        "enforcing"
    } else {
        "non-enforcing"
    };
    PolicyDirection {
        enforcing,
        state: Some(state.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use cilium_api::{EndpointState, NumericIdentity};

    use super::*;
    use crate::endpoint::{AttachmentKey, PodRef};

    fn endpoint(uid: &str) -> Endpoint {
        Endpoint {
            id: 7,
            attachment: AttachmentKey {
                container_id: "abc".to_owned(),
                ifname: "eth0".to_owned(),
            },
            pod: Some(PodRef {
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
                uid: uid.to_owned(),
            }),
            ip: Ipv4Addr::new(10, 244, 1, 9),
            mac: datapath::Mac::default(),
            host_mac: datapath::Mac::default(),
            ifindex: 7,
            interface: "lxc1".to_owned(),
            identity: NumericIdentity(300),
            labels: vec!["k8s:app=web".to_owned()],
            policy: 1,
            state: EndpointState::Ready,
        }
    }

    const NODE: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 11);

    /// The hash is what the runtime says; the collector knows the object.
    #[test]
    fn the_endpoint_of_a_static_pod_is_owned_by_the_pods_mirror() {
        let about = About {
            uid: "u1".to_owned(),
            ..About::default()
        };
        let object = cilium_endpoint(&endpoint("hash"), NODE, &about).unwrap();
        assert_eq!(object.metadata.owner_references.unwrap()[0].uid, "u1");
    }

    #[test]
    fn an_endpoint_is_owned_by_its_pod_and_says_which_direction_is_enforced() {
        let about = About {
            uid: "u1".to_owned(),
            enforcement: Enforcement {
                ingress: true,
                egress: false,
            },
            labels: [("app".to_owned(), "web".to_owned())].into(),
            ..About::default()
        };
        let object = serde_json::to_value(cilium_endpoint(&endpoint("u1"), NODE, &about)).unwrap();
        assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "u1");
        assert_eq!(object["metadata"]["labels"]["app"], "web");
        assert_eq!(object["status"]["networking"]["node"], "172.30.0.11");
        let policy = &object["status"]["policy"];
        assert_eq!(policy["ingress"]["state"], "enforcing");
        assert_eq!(policy["egress"]["enforcing"], false);
    }

    #[test]
    fn an_endpoint_without_a_pods_uid_would_never_be_collected_and_is_not_written() {
        assert_eq!(
            cilium_endpoint(&endpoint(""), NODE, &About::default()),
            None
        );
    }

    fn pod(name: &str, deleted: Option<&str>) -> Pod {
        let metadata = json!({"namespace": "shop", "name": name, "deletionTimestamp": deleted});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    #[test]
    fn a_claim_is_stale_once_its_pod_has_the_address_no_more() {
        let web = endpoint("u1");
        let claim = cilium_endpoint(&web, NODE, &About::default()).unwrap();
        let elsewhere = Ipv4Addr::new(172, 30, 0, 12);
        let there = cilium_endpoint(&web, elsewhere, &About::default()).unwrap();
        let withdrawn = CiliumEndpoint::new("web", EndpointStatus::default());
        let nameless = Endpoint {
            pod: None,
            ..web.clone()
        };
        let local = [web];
        let going = pod("web", Some("2026-01-01T00:00:00Z"));
        let mut done = pod("web", None);
        done.status = serde_json::from_value(json!({"phase": "Succeeded"})).unwrap();
        let db = pod("db", Some("2026-01-01T00:00:00Z"));
        for (pod, claim, local, stale) in [
            (&pod("web", None), &claim, &local[..], false),
            (&pod("web", None), &claim, &[nameless], false),
            (&pod("web", None), &claim, &[], true),
            (&going, &claim, &[], false),
            (&done, &claim, &[], false),
            // Another pod has the address.
            (&db, &claim, &local, true),
            (&pod("web", None), &there, &[], false),
            (&pod("web", None), &withdrawn, &[], false),
        ] {
            assert_eq!(
                is_stale(pod, claim, local, NODE),
                stale,
                "{pod:?} {local:?}"
            );
        }
    }

    #[test]
    fn a_withdrawal_is_of_the_object_that_was_seen_and_leaves_it_no_address() {
        let mut claim = cilium_endpoint(&endpoint("u1"), NODE, &About::default()).unwrap();
        claim.metadata.uid = Some("c1".to_owned());
        claim.metadata.resource_version = Some("7".to_owned());
        let patch = withdrawal(&claim);
        assert_eq!(
            patch["metadata"],
            json!({"uid": "c1", "resourceVersion": "7"})
        );
        assert_eq!(patch["status"]["identity"]["id"], 5);
        let networking = patch["status"].get("networking");
        assert_eq!(networking, Some(&Value::Null));
    }

    const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 1);

    #[test]
    fn the_agent_never_writes_its_pod_cidrs_or_labels_and_its_router_only_inside_them() {
        let cidr: Ipv4Net = "10.244.1.0/24".parse().unwrap();
        let written = cilium_node(
            "worker-1",
            NODE,
            Some(cidr),
            Some(ROUTER),
            &[cidr],
            "b",
            &BTreeSet::new(),
        );
        assert_eq!(written["spec"]["addresses"][1]["type"], "CiliumInternalIP");
        assert!(written["spec"].get("ipam").is_none());
        assert!(written["metadata"].get("labels").is_none());
        let other = "10.244.9.0/24".parse().unwrap();
        let moved = cilium_node(
            "worker-1",
            NODE,
            Some(cidr),
            Some(ROUTER),
            &[other],
            "b",
            &BTreeSet::new(),
        );
        assert_eq!(moved["spec"]["addresses"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_node_whose_object_was_deleted_still_says_which_range_its_pods_have() {
        let cidr: Ipv4Net = "10.244.1.0/24".parse().unwrap();
        let written = cilium_node(
            "worker-1",
            NODE,
            Some(cidr),
            Some(ROUTER),
            &[],
            "b",
            &BTreeSet::new(),
        );
        assert_eq!(
            written["metadata"]["annotations"][POD_CIDR_ANNOTATION],
            "10.244.1.0/24"
        );
    }
}

//! Objects cut down to what decisions need.

use std::net::Ipv4Addr;

use gloonet_api::GlooNetwork;
use gloonet_catalog::{AGENT_NODES, NodeFacts, PodObservation, Workload};
use gloonet_plan::LiveObject;
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use kube::{ResourceExt, api::DynamicObject};

use super::{Source, pod, secret, secret::SecretView, table::Name, workload};
use crate::apply::{content, version};

/// What is kept of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// Of a `GlooNetwork`: all of it.
    Platform(Box<GlooNetwork>),
    /// Of an object of ours.
    Object(Tracked),
    /// Of a pod.
    Pod(PodObservation),
    /// Of a node.
    Node(NodeFacts),
    /// Of a Secret: keys, never values.
    Secret(SecretView),
    /// Of a CiliumNode: its pod CIDRs.
    CiliumNode(Vec<String>),
}

/// What is kept of an object of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracked {
    /// UID, content, whether it is going.
    pub live: LiveObject,
    /// Counts, when it is a Deployment or DaemonSet.
    pub workload: Option<Workload>,
    /// Established, when it is a CustomResourceDefinition.
    pub established: bool,
}

pub(super) fn name(object: &DynamicObject) -> Option<Name> {
    Some((
        object.metadata.namespace.clone().unwrap_or_default(),
        object.metadata.name.clone()?,
    ))
}

/// `None`, with a line in the log, for an object that cannot be understood.
pub(super) fn reduce(source: &Source, object: DynamicObject) -> Option<(Name, Row)> {
    let name = name(&object)?;
    let row = match source {
        Source::Platform => parse::<GlooNetwork>(object).map(|mut platform| {
            platform.metadata.managed_fields = None;
            Row::Platform(Box::new(platform))
        }),
        Source::Ours { kind, .. } => Some(Row::Object(tracked(kind, &object))),
        Source::Pods(_) => parse::<Pod>(object).map(|pod| Row::Pod(pod::observation(pod))),
        Source::Nodes => parse::<Node>(object).map(|node| Row::Node(node_facts(&name.1, &node))),
        Source::Secrets(_) | Source::Secret(..) => {
            parse::<Secret>(object).map(|secret| Row::Secret(secret::view(secret)))
        }
        Source::CiliumNodes => Some(Row::CiliumNode(pod_cidrs(&object))),
    };
    if row.is_none() {
        tracing::warn!(%source, namespace = name.0, name = name.1, "object cannot be decoded; skipped");
    }
    Some((name, row?))
}

fn parse<K: kube::Resource + serde::de::DeserializeOwned>(object: DynamicObject) -> Option<K> {
    object.try_parse().ok()
}

fn tracked(kind: &str, object: &DynamicObject) -> Tracked {
    let conditions = object.data["status"]["conditions"].as_array();
    let established = conditions.is_some_and(|all| {
        all.iter()
            .any(|one| one["type"] == "Established" && one["status"] == "True")
    });
    Tracked {
        live: LiveObject {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            fingerprint: content(object),
            deleting: object.metadata.deletion_timestamp.is_some(),
            version: version(object.metadata.resource_version.as_deref()),
        },
        workload: workload::counts(kind, object),
        established: kind == "CustomResourceDefinition" && established,
    }
}

fn node_facts(name: &str, node: &Node) -> NodeFacts {
    let addresses = node
        .status
        .iter()
        .flat_map(|status| status.addresses.iter().flatten());
    let internal_ips: Vec<Ipv4Addr> = addresses
        .filter(|address| address.type_ == "InternalIP")
        .filter_map(|address| address.address.parse().ok())
        .collect();
    let (label, value) = AGENT_NODES;
    NodeFacts {
        name: name.to_owned(),
        internal_ips,
        agent: node.labels().get(label).is_some_and(|os| os == value),
    }
}

fn pod_cidrs(object: &DynamicObject) -> Vec<String> {
    let cidrs = object.data["spec"]["ipam"]["podCIDRs"].as_array();
    cidrs
        .into_iter()
        .flatten()
        .filter_map(|cidr| cidr.as_str().map(str::to_owned))
        .collect()
}

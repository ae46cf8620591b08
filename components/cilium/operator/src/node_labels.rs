//! Gives each CiliumNode the labels of its Node: policies select nodes by them, and the agents watch CiliumNodes only.

use std::{collections::BTreeSet, time::Instant};

use cilium_api::CiliumNode;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    controller::{Controller, Decision},
    world::World,
    write::{Target, Write},
};

/// Owner of the labels at the API server, which so knows what to take away. Not the one of the podCIDRs: an apply of
/// either would take away the other's fields.
pub const MANAGER: &str = "cilium-operator-node-labels";

/// The duty.
#[derive(Debug)]
pub struct NodeLabels;

impl Controller for NodeLabels {
    const NAME: &'static str = "node-labels";

    fn sources(&self, world: &World) -> Vec<watch::Receiver<u64>> {
        vec![world.nodes.changes(), world.cilium_nodes.changes()]
    }

    fn decide(&mut self, world: &World, _now: Instant) -> Decision {
        let (nodes, ciliums) = (world.nodes.snapshot(), world.cilium_nodes.snapshot());
        // A CiliumNode without its Node keeps its labels until it is removed.
        let pairs = ciliums
            .objects
            .iter()
            .filter_map(|(key, cilium)| Some((nodes.objects.get(key)?, cilium)));
        Decision {
            writes: pairs
                .filter_map(|(node, cilium)| follow(node, cilium))
                .collect(),
            again: None,
        }
    }
}

/// `None` when the CiliumNode has the labels, from this duty.
fn follow(node: &Node, cilium: &CiliumNode) -> Option<Write> {
    let wanted = node.labels();
    let actual = cilium.labels();
    let same = wanted
        .iter()
        .all(|(key, value)| actual.get(key) == Some(value));
    let owned = owned(cilium);
    let owns_just_these =
        owned.len() == wanted.len() && wanted.keys().all(|key| owned.contains(key));
    (!same || !owns_just_these).then(|| Write::NodeLabels {
        node: Target::of(cilium),
        labels: wanted.clone(),
    })
}

/// Keys this duty has set, as the API server recorded it.
fn owned(cilium: &CiliumNode) -> BTreeSet<String> {
    let ours = cilium
        .managed_fields()
        .iter()
        .filter(|entry| entry.manager.as_deref() == Some(MANAGER));
    ours.filter_map(|entry| {
        let fields: &Value = &entry.fields_v1.as_ref()?.0;
        fields.pointer("/f:metadata/f:labels")?.as_object()
    })
    .flat_map(|labels| labels.keys())
    .filter_map(|field| Some(field.strip_prefix("f:")?.to_owned()))
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;

    fn node(labels: &Value) -> Value {
        json!({"metadata": {"name": "a", "labels": labels}})
    }

    fn cilium(labels: &Value, owned: &[&str]) -> Value {
        let fields: BTreeMap<String, Value> = owned
            .iter()
            .map(|key| (format!("f:{key}"), json!({})))
            .collect();
        json!({
            "metadata": {
                "name": "a", "uid": "u", "resourceVersion": "7", "labels": labels,
                "managedFields": [
                    {"manager": "cilium-agent", "fieldsV1": {"f:metadata": {"f:labels": {"f:theirs": {}}}}},
                    {"manager": MANAGER, "fieldsV1": {"f:metadata": {"f:labels": fields}}},
                ],
            },
            "spec": {},
        })
    }

    fn writes(node: Option<Value>, cilium: Value) -> Vec<Write> {
        let world = World::default();
        if let Some(node) = node {
            world
                .nodes
                .take(Event::Apply(serde_json::from_value(node).unwrap()));
        }
        world
            .cilium_nodes
            .take(Event::Apply(serde_json::from_value(cilium).unwrap()));
        NodeLabels.decide(&world, Instant::now()).writes
    }

    fn labels(writes: &[Write]) -> Value {
        match writes {
            [Write::NodeLabels { node, labels }] => {
                assert_eq!(node.resource_version.as_deref(), Some("7"));
                json!(labels)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_cilium_node_gets_the_labels_of_its_node_and_nothing_else_is_written() {
        let wanted = json!({"zone": "b", "disk": "ssd"});
        let got = writes(Some(node(&wanted)), cilium(&json!({"theirs": "x"}), &[]));
        assert_eq!(labels(&got), wanted);
    }

    #[test]
    fn a_label_that_changed_is_written_anew_and_one_that_is_gone_is_left_out() {
        let had = cilium(&json!({"zone": "a", "disk": "ssd"}), &["zone", "disk"]);
        let got = writes(Some(node(&json!({"zone": "b"}))), had);
        assert_eq!(labels(&got), json!({"zone": "b"}));
    }

    #[test]
    fn the_last_label_that_is_gone_is_taken_away_too() {
        let had = cilium(&json!({"zone": "a"}), &["zone"]);
        assert_eq!(labels(&writes(Some(node(&json!({}))), had)), json!({}));
    }

    #[test]
    fn a_label_of_others_stays_and_costs_no_write() {
        let had = cilium(&json!({"zone": "b", "theirs": "x"}), &["zone"]);
        assert_eq!(writes(Some(node(&json!({"zone": "b"}))), had), []);
    }

    #[test]
    fn a_cilium_node_without_its_node_keeps_its_labels() {
        let had = cilium(&json!({"zone": "b"}), &["zone"]);
        assert_eq!(writes(None, had), []);
    }
}

//! Removes CiliumNodes whose Node is gone; their podCIDRs become free with them. So it does when another Node has the name
//! and another address: an agent may not change the one its CiliumNode says.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use cilium_api::CiliumNode;
use k8s_openapi::api::core::v1::Node;
use kube::api::ObjectMeta;
use tokio::sync::watch;

use crate::{
    cache::Key,
    controller::{Controller, Decision},
    grace::Grace,
    world::World,
    write::{Target, Write},
};

/// The duty.
#[derive(Debug)]
pub struct NodeGc {
    gone: Grace<Key>,
}

impl NodeGc {
    /// A CiliumNode goes when its Node has been away for `grace`.
    pub fn new(grace: Duration) -> Self {
        Self {
            gone: Grace::new(grace),
        }
    }
}

impl Controller for NodeGc {
    const NAME: &'static str = "node-gc";

    fn sources(&self, world: &World) -> Vec<watch::Receiver<u64>> {
        vec![world.nodes.changes(), world.cilium_nodes.changes()]
    }

    fn decide(&mut self, world: &World, now: Instant) -> Decision {
        let (nodes, ciliums) = (world.nodes.snapshot(), world.cilium_nodes.snapshot());
        if !(nodes.synced && ciliums.synced) {
            self.gone.restart();
            return Decision::default();
        }
        let exists =
            |key: &Key| nodes.objects.contains_key(key) || nodes.unreadable.contains_key(key);
        let due = self.gone.due(
            ciliums.objects.keys().filter(|key| !exists(key)).cloned(),
            now,
        );
        let of_others = ciliums.objects.iter().filter_map(|(key, cilium)| {
            let node = nodes.objects.get(key)?;
            is_of_an_earlier_node(node, cilium).then_some(cilium)
        });
        let objects = due.iter().filter_map(|key| ciliums.objects.get(key));
        Decision {
            writes: objects
                .chain(of_others)
                .map(|n| Write::DeleteCiliumNode(Target::of(n.as_ref())))
                .collect(),
            again: self.gone.next(now),
        }
    }
}

/// By the age, not by the address alone: who is root on a node can write both the Node's and the CiliumNode's.
fn is_of_an_earlier_node(node: &Node, cilium: &CiliumNode) -> bool {
    let made = |of: &ObjectMeta| of.creation_timestamp.as_ref().map(|time| time.0);
    let older = made(&cilium.metadata)
        .zip(made(&node.metadata))
        .is_some_and(|(cilium, node)| cilium < node);
    let status = node.status.iter();
    let internal: Vec<Ipv4Addr> = status
        .flat_map(|status| status.addresses.iter().flatten())
        .filter(|address| address.type_ == "InternalIP")
        .filter_map(|address| address.address.parse().ok())
        .collect();
    let said = cilium.internal_ipv4();
    older && !internal.is_empty() && said.is_some_and(|said| !internal.contains(&said))
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;

    fn world(nodes: &[&str], ciliums: &[&str]) -> World {
        let world = World::default();
        for name in ciliums {
            let object = json!({"metadata": {"name": name, "uid": name}, "spec": {}});
            world
                .cilium_nodes
                .take(Event::InitApply(serde_json::from_value(object).unwrap()));
        }
        world.cilium_nodes.take(Event::InitDone);
        for name in nodes {
            world.nodes.take(Event::InitApply(
                serde_json::from_value(json!({"metadata": {"name": name}})).unwrap(),
            ));
        }
        world.nodes.take(Event::InitDone);
        world
    }

    #[test]
    fn a_cilium_node_goes_when_its_node_stays_away() {
        let mut duty = NodeGc::new(Duration::from_mins(1));
        let (world, start) = (world(&["a"], &["a", "b"]), Instant::now());
        let first = duty.decide(&world, start);
        assert!(first.writes.is_empty());
        assert_eq!(first.again, Some(Duration::from_mins(1)));
        let objects: Vec<_> = duty
            .decide(&world, start + Duration::from_mins(1))
            .writes
            .iter()
            .map(Write::object)
            .collect();
        assert_eq!(objects, ["b"]);
    }

    #[test]
    fn nothing_goes_while_the_list_of_nodes_is_not_complete() {
        let world = World::default();
        world.cilium_nodes.take(Event::InitDone);
        let object = json!({"metadata": {"name": "a", "uid": "a"}, "spec": {}});
        world
            .cilium_nodes
            .take(Event::Apply(serde_json::from_value(object).unwrap()));
        assert!(
            NodeGc::new(Duration::ZERO)
                .decide(&world, Instant::now())
                .writes
                .is_empty()
        );
    }

    /// What goes when Node and CiliumNode `a` were made at these seconds and say these addresses.
    fn goes(node: (u8, &[&str]), cilium: (u8, &str)) -> bool {
        let made = |second: u8| format!("2026-01-01T00:00:{second:02}Z");
        let addresses: Vec<_> = node
            .1
            .iter()
            .map(|ip| json!({"type": "InternalIP", "address": ip}))
            .collect();
        let world = World::default();
        let object = json!({
            "metadata": {"name": "a", "creationTimestamp": made(node.0)},
            "status": {"addresses": addresses},
        });
        world
            .nodes
            .take(Event::InitApply(serde_json::from_value(object).unwrap()));
        world.nodes.take(Event::InitDone);
        let object = json!({
            "metadata": {"name": "a", "uid": "a", "creationTimestamp": made(cilium.0)},
            "spec": {"addresses": [{"type": "InternalIP", "ip": cilium.1}]},
        });
        world
            .cilium_nodes
            .take(Event::InitApply(serde_json::from_value(object).unwrap()));
        world.cilium_nodes.take(Event::InitDone);
        let writes = NodeGc::new(Duration::from_mins(1))
            .decide(&world, Instant::now())
            .writes;
        writes.iter().any(|write| write.object() == "a")
    }

    #[test]
    fn a_cilium_node_of_an_earlier_node_with_another_address_goes_at_once() {
        assert!(goes((2, &["172.30.0.12"]), (1, "172.30.0.11")));
    }

    #[test]
    fn a_node_that_was_made_anew_with_its_address_keeps_its_cilium_node() {
        assert!(!goes((2, &["172.30.0.11"]), (1, "172.30.0.11")));
        assert!(!goes(
            (2, &["172.30.0.12", "172.30.0.11"]),
            (1, "172.30.0.11")
        ));
    }

    #[test]
    fn a_node_that_says_another_address_or_none_lends_its_agent_no_new_one() {
        assert!(!goes((1, &["172.30.0.12"]), (1, "172.30.0.11")));
        assert!(!goes((1, &["172.30.0.12"]), (2, "172.30.0.11")));
        assert!(!goes((2, &[]), (1, "172.30.0.11")));
    }
}

//! Removes CiliumNodes whose Node is gone; their podCIDRs become free with them.

use std::time::{Duration, Instant};

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
        let objects = due.iter().filter_map(|key| ciliums.objects.get(key));
        Decision {
            writes: objects
                .map(|n| Write::DeleteCiliumNode(Target::of(n.as_ref())))
                .collect(),
            again: self.gone.next(now),
        }
    }
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
}

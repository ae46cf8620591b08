//! Nodes that vanished a moment ago. A CiliumNode that is deleted and written again (a CRD that was removed, a person's
//! mistake) must not cut its pods off, so a node stays in force for a while. Pure; the time comes in as an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::nodes::KnownNode;

/// Twice Cilium's node deletion delay: long enough to write a removed CRD and its objects again.
pub const LINGER: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
pub struct Lingering {
    last: BTreeMap<String, (KnownNode, Option<Instant>)>,
}

impl Lingering {
    /// The believed nodes and those that vanished less than [`LINGER`] ago, unless somebody else has their place now.
    pub fn extend(&mut self, known: Vec<KnownNode>, now: Instant) -> Vec<KnownNode> {
        for (_, vanished) in self.last.values_mut() {
            vanished.get_or_insert(now);
        }
        for node in known {
            self.last.insert(node.name.clone(), (node, None));
        }
        let current: Vec<KnownNode> = self
            .last
            .values()
            .filter(|(_, vanished)| vanished.is_none())
            .map(|(node, _)| node.clone())
            .collect();
        self.last.retain(|_, (node, vanished)| {
            vanished.is_none_or(|since| {
                now < since + LINGER && !current.iter().any(|other| replaces(other, node))
            })
        });
        self.last.values().map(|(node, _)| node.clone()).collect()
    }

    /// Whether a vanished node is still in force, so that its end has to be looked at again.
    pub fn pending(&self) -> bool {
        self.last.values().any(|(_, vanished)| vanished.is_some())
    }
}

fn replaces(new: &KnownNode, old: &KnownNode) -> bool {
    new.ip == old.ip
        || new
            .pod_cidrs
            .iter()
            .any(|a| old.pod_cidrs.iter().any(|b| a.contains(b) || b.contains(a)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::{accept, tests::node};

    fn known(name: &str, ip: &str, cidr: &str) -> KnownNode {
        accept([&node(name, 1, ip, cidr)], &[]).0.remove(0)
    }

    fn names(nodes: &[KnownNode]) -> Vec<&str> {
        nodes.iter().map(|node| node.name.as_str()).collect()
    }

    #[test]
    fn a_vanished_node_stays_for_a_minute_and_no_longer() {
        let mut lingering = Lingering::default();
        let now = Instant::now();
        lingering.extend(vec![known("a", "172.30.0.11", "10.244.1.0/24")], now);
        assert_eq!(names(&lingering.extend(Vec::new(), now)), ["a"]);
        assert!(lingering.pending());
        let almost = now + LINGER.saturating_sub(Duration::from_secs(1));
        assert_eq!(names(&lingering.extend(Vec::new(), almost)), ["a"]);
        assert!(lingering.extend(Vec::new(), now + LINGER).is_empty());
        assert!(!lingering.pending());
    }

    #[test]
    fn a_node_that_comes_back_starts_anew() {
        let mut lingering = Lingering::default();
        let (now, a) = (Instant::now(), known("a", "172.30.0.11", "10.244.1.0/24"));
        lingering.extend(vec![a.clone()], now);
        lingering.extend(Vec::new(), now);
        lingering.extend(vec![a], now + LINGER / 2);
        assert!(!lingering.pending());
        assert_eq!(lingering.extend(Vec::new(), now + LINGER * 2).len(), 1);
    }

    #[test]
    fn a_vanished_node_gives_way_at_once_to_who_has_its_range_or_address_now() {
        for (ip, cidr) in [
            ("172.30.0.12", "10.244.1.0/24"),
            ("172.30.0.11", "10.244.2.0/24"),
        ] {
            let mut lingering = Lingering::default();
            let now = Instant::now();
            lingering.extend(vec![known("a", "172.30.0.11", "10.244.1.0/24")], now);
            let nodes = lingering.extend(vec![known("b", ip, cidr)], now);
            assert_eq!(names(&nodes), ["b"]);
        }
    }
}

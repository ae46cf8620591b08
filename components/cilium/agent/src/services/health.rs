//! Whether a load balancer before the nodes should send to this one. Pure.
//!
//! As kube-proxy answers at :10256 (KEP-3836): a node that is going away says so early, so that load balancers move new
//! connections elsewhere while those it has end in peace.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;

/// Put on a node that cluster-autoscaler is about to remove.
const GOING_AWAY: &str = "ToBeDeletedByClusterAutoscaler";

/// What is known at the moment of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceHealth {
    /// When Services were last compared with the datapath.
    pub updated: Option<Timestamp>,
    pub now: Timestamp,
    /// Whether the node stays.
    pub eligible: bool,
}

impl ServiceHealth {
    /// `node` is what is known of it; one that was never seen is not known to go.
    pub fn of(updated: Option<Timestamp>, now: Timestamp, node: Option<&Node>) -> Self {
        Self {
            updated,
            now,
            eligible: !node.is_some_and(is_going),
        }
    }

    /// Whether Services are kept up to date. `patience` is how old the last comparison may be.
    pub fn is_live(&self, patience: Duration) -> bool {
        self.updated
            .is_some_and(|updated| self.now.duration_since(updated).unsigned_abs() <= patience)
    }

    /// Whether new connections should come here.
    pub fn is_ready(&self, patience: Duration) -> bool {
        self.eligible && self.is_live(patience)
    }
}

fn is_going(node: &Node) -> bool {
    let mut taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten());
    node.metadata.deletion_timestamp.is_some() || taints.any(|taint| taint.key == GOING_AWAY)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(2);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn node(metadata: serde_json::Value, taint: &str) -> Node {
        let spec = json!({"taints": [{"key": taint, "effect": "NoSchedule"}]});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn an_agent_that_has_not_compared_services_lately_is_neither_live_nor_ready() {
        for (updated, live) in [(None, false), (Some(0), true), (Some(-121), false)] {
            let health = ServiceHealth::of(updated.map(at), at(0), None);
            assert_eq!(
                (health.is_live(PATIENCE), health.is_ready(PATIENCE)),
                (live, live)
            );
        }
    }

    #[test]
    fn a_node_that_goes_away_is_live_and_takes_no_new_connections() {
        let deleted = json!({"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        for (node, stays) in [
            (node(json!({"name": "a"}), "dedicated"), true),
            (node(json!({"name": "a"}), GOING_AWAY), false),
            (node(deleted, "dedicated"), false),
        ] {
            let health = ServiceHealth::of(Some(at(0)), at(1), Some(&node));
            assert!(health.is_live(PATIENCE));
            assert_eq!(health.is_ready(PATIENCE), stays, "{node:?}");
        }
    }
}

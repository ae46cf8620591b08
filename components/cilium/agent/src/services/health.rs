//! Whether a load balancer before the nodes should send to this one. Pure.
//!
//! As kube-proxy answers at :10256 (KEP-3836): a node that is going away says so early, so that load balancers move new
//! connections elsewhere while those it has end in peace.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;

use crate::moment::Moment;

/// Put on a node that cluster-autoscaler is about to remove.
const GOING_AWAY: &str = "ToBeDeletedByClusterAutoscaler";

/// What is known at the moment of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceHealth {
    /// When Services were last compared with the datapath.
    pub updated: Option<Moment>,
    pub now: Moment,
    /// Whether the node stays.
    pub eligible: bool,
}

impl ServiceHealth {
    /// `node` is what is known of it; one that was never seen is not known to go.
    pub fn of(updated: Option<Moment>, now: Moment, node: Option<&Node>) -> Self {
        Self {
            updated,
            now,
            eligible: !node.is_some_and(is_going),
        }
    }

    /// Whether Services are kept up to date. `patience` is how old the last comparison may be.
    pub fn is_live(&self, patience: Duration) -> bool {
        self.updated
            .is_some_and(|updated| self.now.instant.duration_since(updated.instant) <= patience)
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
    use std::time::Instant;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(2);

    /// So many seconds after the first of them, and what a clock says then.
    fn shown_as(start: Instant, second: u64, clock: i64) -> Moment {
        Moment {
            shown: Timestamp::from_second(1_000_000 + clock).unwrap(),
            instant: start + Duration::from_secs(second),
        }
    }

    fn node(metadata: serde_json::Value, taint: &str) -> Node {
        let spec = json!({"taints": [{"key": taint, "effect": "NoSchedule"}]});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn an_agent_that_has_not_compared_services_lately_is_neither_live_nor_ready() {
        let start = Instant::now();
        for (updated, live) in [(None, false), (Some(200), true), (Some(79), false)] {
            let updated = updated.map(|second| shown_as(start, second, 0));
            let health = ServiceHealth::of(updated, shown_as(start, 200, 0), None);
            assert_eq!(
                (health.is_live(PATIENCE), health.is_ready(PATIENCE)),
                (live, live)
            );
        }
    }

    #[test]
    fn a_clock_that_is_set_makes_nothing_older_or_younger() {
        let start = Instant::now();
        for (seconds, clock, live) in [(1, 86_400, true), (1, -86_400, true), (121, 0, false)] {
            let updated = Some(shown_as(start, 0, 0));
            let health = ServiceHealth::of(updated, shown_as(start, seconds, clock), None);
            assert_eq!(health.is_live(PATIENCE), live, "{clock}");
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
            let now = Moment::now();
            let health = ServiceHealth::of(Some(now), now, Some(&node));
            assert!(health.is_live(PATIENCE));
            assert_eq!(health.is_ready(PATIENCE), stays, "{node:?}");
        }
    }
}

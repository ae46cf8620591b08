//! What is sent to the API server, per write.

use std::collections::BTreeMap;

use cilium_api::{names, policy::VALID};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Taint;
use serde_json::{Value, json};

use super::{Target, Write};

/// Server-side apply creates what is missing; uid and version make it refuse instead.
pub(super) fn pod_cidrs(node: &Target, cidrs: &[Ipv4Net]) -> Value {
    json!({
        "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
        "kind": "CiliumNode",
        "metadata": {"name": node.key.name, "uid": node.uid, "resourceVersion": node.resource_version},
        "spec": {"ipam": {"podCIDRs": cidrs}},
    })
}

/// The version makes a write to an object that has changed since fail.
pub(super) fn set_taints(node: &Target, taints: &[Taint]) -> Value {
    json!({"metadata": {"resourceVersion": node.resource_version}, "spec": {"taints": taints}})
}

pub(super) fn network_available(now: Timestamp) -> Value {
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({"status": {"conditions": [{
        "type": "NetworkUnavailable", "status": "False", "reason": names::CILIUM_IS_UP,
        "message": "Cilium is running on this node", "lastHeartbeatTime": now, "lastTransitionTime": now,
    }]}})
}

/// All labels this manager gives; those it gave before and are not here are taken away. Refused like [`pod_cidrs`] when
/// the object is another one.
pub(super) fn node_labels(node: &Target, labels: &BTreeMap<String, String>) -> Value {
    json!({
        "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
        "kind": "CiliumNode",
        "metadata": {
            "name": node.key.name, "uid": node.uid, "resourceVersion": node.resource_version, "labels": labels,
        },
    })
}

/// The condition of a [`Write::PolicyValid`]; nothing for other writes. Refused like [`pod_cidrs`].
pub(super) fn policy_valid(kind: &str, write: &Write, now: Timestamp) -> Value {
    let Write::PolicyValid {
        policy,
        status,
        reason,
        message,
        since,
    } = write
    else {
        return Value::Null;
    };
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut metadata = json!({
        "name": policy.key.name, "uid": policy.uid, "resourceVersion": policy.resource_version,
    });
    if !policy.key.namespace.is_empty() {
        metadata["namespace"] = json!(policy.key.namespace);
    }
    json!({
        "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
        "kind": kind,
        "metadata": metadata,
        "status": {"conditions": [{
            "type": VALID, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": since.as_ref().unwrap_or(&now),
        }]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Key;

    #[test]
    fn podcidrs_are_written_to_the_very_object_that_was_seen_and_nothing_else() {
        let node = Target {
            key: Key::cluster("a"),
            uid: Some("u".into()),
            resource_version: Some("7".into()),
        };
        assert_eq!(
            pod_cidrs(&node, &["10.244.1.0/24".parse().unwrap()]),
            json!({
                "apiVersion": "cilium.io/v2", "kind": "CiliumNode",
                "metadata": {"name": "a", "uid": "u", "resourceVersion": "7"},
                "spec": {"ipam": {"podCIDRs": ["10.244.1.0/24"]}},
            })
        );
    }

    #[test]
    fn the_condition_is_the_one_cilium_sets() {
        let condition = &network_available("2026-01-02T03:04:05.678Z".parse().unwrap())["status"]["conditions"]
            [0];
        assert_eq!(condition["type"], "NetworkUnavailable");
        assert_eq!(
            (&condition["status"], &condition["reason"]),
            (&json!("False"), &json!("CiliumIsUp"))
        );
        assert_eq!(condition["lastTransitionTime"], "2026-01-02T03:04:05Z");
    }

    #[test]
    fn labels_are_written_whole_to_the_very_object_that_was_seen() {
        let node = Target {
            key: Key::cluster("a"),
            uid: Some("u".into()),
            resource_version: Some("7".into()),
        };
        let labels = BTreeMap::from([("zone".to_owned(), "b".to_owned())]);
        let body = node_labels(&node, &labels);
        assert_eq!(
            body["metadata"],
            json!({"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"zone": "b"}})
        );
        assert_eq!(body["spec"], Value::Null);
    }

    #[test]
    fn a_condition_keeps_its_time_or_gets_the_present() {
        let write = |since: Option<&str>| Write::PolicyValid {
            policy: Target {
                key: Key {
                    namespace: "shop".into(),
                    name: "p".into(),
                },
                uid: Some("u".into()),
                resource_version: Some("7".into()),
            },
            status: "False",
            reason: "NotFollowed",
            message: "spec.x: no".into(),
            since: since.map(str::to_owned),
        };
        let now: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let body = policy_valid("CiliumNetworkPolicy", &write(None), now);
        assert_eq!(body["metadata"]["namespace"], "shop");
        assert_eq!(
            body["status"]["conditions"][0],
            json!({"type": "Valid", "status": "False", "reason": "NotFollowed", "message": "spec.x: no", "lastTransitionTime": "2026-01-02T03:04:05Z"})
        );
        let kept = policy_valid(
            "CiliumNetworkPolicy",
            &write(Some("2026-01-01T00:00:00Z")),
            now,
        );
        assert_eq!(
            kept["status"]["conditions"][0]["lastTransitionTime"],
            "2026-01-01T00:00:00Z"
        );
    }
}

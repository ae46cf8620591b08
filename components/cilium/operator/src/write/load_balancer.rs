//! Statuses of Services and of the pools their addresses come from.

use cilium_api::{CiliumLoadBalancerIPPool, load_balancer_pool::REQUEST_SATISFIED, names};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LoadBalancerIngress, Service};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{Target, display_list};
use crate::load_balancer_ipam::Said;

/// A condition with its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// All but the time.
    pub said: Said,
    /// Since when the status is so; `None`: from now on.
    pub since: Option<String>,
}

/// Leaves a Service with this ingress and this condition of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceAddresses {
    /// The Service.
    pub service: Target,
    /// All of the ingress.
    pub ingress: Vec<LoadBalancerIngress>,
    /// `None`: without one.
    pub condition: Option<Condition>,
}

/// Sets our conditions of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolConditions {
    /// The CiliumLoadBalancerIPPool.
    pub pool: Target,
    /// All of them.
    pub conditions: Vec<Condition>,
}

impl Condition {
    fn body(&self, now: &str) -> Value {
        let Said {
            type_,
            status,
            reason,
            message,
        } = &self.said;
        json!({
            "type": type_, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": self.since.as_deref().unwrap_or(now),
        })
    }
}

impl ServiceAddresses {
    pub(super) fn sentence(&self) -> String {
        let addresses: Vec<&str> = self
            .ingress
            .iter()
            .filter_map(|i| i.ip.as_deref())
            .collect();
        let has = if addresses.is_empty() {
            "no address of a load balancer".to_owned()
        } else {
            format!("address {}", display_list(&addresses))
        };
        match &self.condition {
            Some(Condition { said, .. }) if said.status != "True" => {
                format!("Service has {has}: {}", said.message)
            }
            _ => format!("Service has {has}"),
        }
    }

    /// The version makes it fail when the Service has changed since.
    fn body(&self, now: &str) -> Value {
        let condition = match &self.condition {
            Some(condition) => condition.body(now),
            None => json!({"$patch": "delete", "type": REQUEST_SATISFIED}),
        };
        json!({
            "metadata": {"resourceVersion": self.service.resource_version},
            "status": {"loadBalancer": {"ingress": self.ingress}, "conditions": [condition]},
        })
    }

    /// Strategic, because an apply takes away only what its own manager wrote, and a status may be from before.
    pub(super) async fn send(&self, client: &Client, now: Timestamp) -> kube::Result<()> {
        let api: Api<Service> = Api::namespaced(client.clone(), &self.service.key.namespace);
        let params = PatchParams {
            field_manager: Some(names::OPERATOR.to_owned()),
            ..PatchParams::default()
        };
        let body = Patch::Strategic(self.body(&seconds(now)));
        api.patch_status(&self.service.key.name, &params, &body)
            .await
            .map(drop)
    }
}

impl PoolConditions {
    pub(super) fn sentence(&self) -> String {
        let said = self.conditions.iter().map(|condition| {
            let Said {
                type_,
                status,
                message,
                ..
            } = &condition.said;
            format!("{type_}={status} ({message})")
        });
        format!(
            "conditions set: {}",
            display_list(&said.collect::<Vec<_>>())
        )
    }

    /// Uid and version make it refuse to write to another object than the one that was seen.
    fn body(&self, now: &str) -> Value {
        let Target {
            key,
            uid,
            resource_version,
        } = &self.pool;
        let conditions: Vec<Value> = self.conditions.iter().map(|c| c.body(now)).collect();
        json!({
            "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
            "kind": "CiliumLoadBalancerIPPool",
            "metadata": {"name": key.name, "uid": uid, "resourceVersion": resource_version},
            "status": {"conditions": conditions},
        })
    }

    pub(super) async fn send(&self, client: &Client, now: Timestamp) -> kube::Result<()> {
        let api: Api<CiliumLoadBalancerIPPool> = Api::all(client.clone());
        let params = PatchParams::apply(names::OPERATOR).force();
        let body = Patch::Apply(self.body(&seconds(now)));
        api.patch_status(&self.pool.key.name, &params, &body)
            .await
            .map(drop)
    }
}

fn seconds(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Key;

    const NOW: &str = "2026-01-02T03:04:05Z";

    fn target(namespace: &str) -> Target {
        Target {
            key: Key {
                namespace: namespace.into(),
                name: "web".into(),
            },
            uid: Some("u".into()),
            resource_version: Some("7".into()),
        }
    }

    fn condition(since: Option<&str>) -> Condition {
        Condition {
            said: Said {
                type_: REQUEST_SATISFIED,
                status: "True",
                reason: "satisfied",
                message: "fine".into(),
            },
            since: since.map(str::to_owned),
        }
    }

    fn service(addresses: &[&str], condition: Option<Condition>) -> Value {
        let entry = |ip: &&str| LoadBalancerIngress {
            ip: Some((*ip).to_owned()),
            ..LoadBalancerIngress::default()
        };
        let write = ServiceAddresses {
            service: target("shop"),
            ingress: addresses.iter().map(entry).collect(),
            condition,
        };
        write.body(NOW)
    }

    #[test]
    fn a_service_gets_its_addresses_and_the_condition_of_a_version_that_was_seen() {
        assert_eq!(
            service(&["192.0.2.1"], Some(condition(None))),
            json!({
                "metadata": {"resourceVersion": "7"},
                "status": {
                    "loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]},
                    "conditions": [{
                        "type": "cilium.io/IPAMRequestSatisfied", "status": "True", "reason": "satisfied", "message": "fine",
                        "lastTransitionTime": NOW,
                    }],
                },
            })
        );
    }

    #[test]
    fn a_service_that_is_given_up_loses_ours_and_only_our_condition() {
        let body = service(&[], None);
        assert_eq!(body["status"]["loadBalancer"]["ingress"], json!([]));
        assert_eq!(
            body["status"]["conditions"],
            json!([{"$patch": "delete", "type": "cilium.io/IPAMRequestSatisfied"}])
        );
    }

    #[test]
    fn the_conditions_of_a_pool_keep_their_time_and_go_to_the_very_object_that_was_seen() {
        let write = PoolConditions {
            pool: target(""),
            conditions: vec![condition(Some("2026-01-01T00:00:00Z"))],
        };
        let body = write.body(NOW);
        assert_eq!(
            body["metadata"],
            json!({"name": "web", "uid": "u", "resourceVersion": "7"})
        );
        assert_eq!(
            body["status"]["conditions"][0]["lastTransitionTime"],
            "2026-01-01T00:00:00Z"
        );
    }
}

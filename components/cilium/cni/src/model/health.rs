//! `GET /v1/gloonet/health` and `PUT /v1/gloonet/health/probe`: Cilium's HealthStatusResponse, which upstream serves on a socket of
//! its own.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthStatus {
    /// Who asked.
    pub local: SelfStatus,
    /// Every node of the cluster, the local one among them.
    pub nodes: Vec<NodeStatus>,
    /// In Go's form: `1m57s`.
    pub probe_interval: String,
    /// When a probe last ended; before the first one, when the agent began.
    pub timestamp: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfStatus {
    /// `cluster/node`.
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NodeStatus {
    /// `cluster/node`.
    pub name: String,
    pub host: Addresses,
    /// The node's address on the pod network; none while it has not said one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_endpoint: Option<Addresses>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Addresses {
    pub primary_address: PathStatus,
}

/// What is not there was not probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStatus {
    pub ip: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<ConnectivityStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<ConnectivityStatus>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectivityStatus {
    /// Nanoseconds there and back.
    #[serde(skip_serializing_if = "is_zero")]
    pub latency: u64,
    /// What is wrong; empty when nothing is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    pub last_probed: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reachability {
    Reachable,
    Unreachable,
    /// Not all of it was probed, and what was is well.
    Unknown,
}

impl PathStatus {
    pub fn reachability(&self) -> Reachability {
        let both = [&self.icmp, &self.http];
        let failed = |probed: &&Option<ConnectivityStatus>| {
            probed
                .as_ref()
                .is_some_and(|probed| !probed.status.is_empty())
        };
        if both.iter().any(failed) {
            Reachability::Unreachable
        } else if both.iter().any(|probed| probed.is_none()) {
            Reachability::Unknown
        } else {
            Reachability::Reachable
        }
    }
}

impl NodeStatus {
    /// Its address on the pod network.
    pub fn endpoint(&self) -> Option<&PathStatus> {
        self.health_endpoint
            .as_ref()
            .map(|addresses| &addresses.primary_address)
    }

    /// As upstream counts: what was not probed yet is not held against it.
    pub fn is_healthy(&self) -> bool {
        let fails = |path: &PathStatus| path.reachability() == Reachability::Unreachable;
        !fails(&self.host.primary_address) && !self.endpoint().is_some_and(fails)
    }
}

impl HealthStatus {
    /// Nodes no way to which is known to fail.
    pub fn healthy(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_healthy()).count()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(icmp: Option<&str>, http: Option<&str>) -> PathStatus {
        let said = |status: Option<&str>| {
            status.map(|status| ConnectivityStatus {
                status: status.to_owned(),
                ..ConnectivityStatus::default()
            })
        };
        PathStatus {
            ip: "10.0.0.1".to_owned(),
            icmp: said(icmp),
            http: said(http),
        }
    }

    #[test]
    fn one_failure_makes_a_path_unreachable_and_what_was_not_probed_makes_it_unknown() {
        let (well, bad) = (Some(""), Some("timed out"));
        for (icmp, http, expected) in [
            (well, well, Reachability::Reachable),
            (well, bad, Reachability::Unreachable),
            (bad, well, Reachability::Unreachable),
            (bad, None, Reachability::Unreachable),
            (None, well, Reachability::Unknown),
            (well, None, Reachability::Unknown),
            (None, None, Reachability::Unknown),
        ] {
            assert_eq!(
                path(icmp, http).reachability(),
                expected,
                "{icmp:?} {http:?}"
            );
        }
    }

    #[test]
    fn a_node_is_healthy_until_one_of_its_two_addresses_fails() {
        let addresses = |path| Addresses {
            primary_address: path,
        };
        let node = |host, endpoint: Option<PathStatus>| NodeStatus {
            name: "west/worker-1".to_owned(),
            host: addresses(host),
            health_endpoint: endpoint.map(addresses),
        };
        let (well, bad) = (path(Some(""), Some("")), path(Some(""), Some("refused")));
        assert!(node(well.clone(), Some(well.clone())).is_healthy());
        assert!(node(well.clone(), None).is_healthy());
        assert!(node(path(None, None), Some(path(None, None))).is_healthy());
        assert!(!node(well.clone(), Some(bad.clone())).is_healthy());
        assert!(!node(bad, Some(well)).is_healthy());
    }

    #[test]
    fn a_status_has_upstreams_fields_and_says_nothing_where_nothing_is_wrong() {
        let well = ConnectivityStatus {
            latency: 412_000,
            status: String::new(),
            last_probed: "2026-01-01T00:00:00Z".to_owned(),
        };
        let bad = ConnectivityStatus {
            latency: 0,
            status: "connection refused".to_owned(),
            ..well.clone()
        };
        let said = HealthStatus {
            local: SelfStatus {
                name: "west/worker-1".to_owned(),
            },
            nodes: vec![NodeStatus {
                name: "west/worker-2".to_owned(),
                host: Addresses {
                    primary_address: PathStatus {
                        icmp: Some(well),
                        http: Some(bad),
                        ..path(None, None)
                    },
                },
                health_endpoint: Some(Addresses {
                    primary_address: path(None, None),
                }),
            }],
            probe_interval: "1m57s".to_owned(),
            timestamp: "2026-01-01T00:00:01Z".to_owned(),
        };
        let json = serde_json::to_value(&said).unwrap();
        let expected = json!({
            "local": {"name": "west/worker-1"},
            "nodes": [{
                "name": "west/worker-2",
                "host": {"primary-address": {
                    "ip": "10.0.0.1",
                    "icmp": {"latency": 412_000, "lastProbed": "2026-01-01T00:00:00Z"},
                    "http": {"status": "connection refused", "lastProbed": "2026-01-01T00:00:00Z"},
                }},
                "health-endpoint": {"primary-address": {"ip": "10.0.0.1"}},
            }],
            "probeInterval": "1m57s",
            "timestamp": "2026-01-01T00:00:01Z",
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<HealthStatus>(json).unwrap(), said);
    }
}

//! Which nodes are reached, in numbers.

use cilium_cni::model::health::{HealthStatus, PathStatus, Reachability};

use super::snapshot::{Metric, count, gauge};

pub(super) fn cluster_health(report: &HealthStatus) -> Vec<Metric> {
    let hosts: Vec<&PathStatus> = report
        .nodes
        .iter()
        .map(|node| &node.host.primary_address)
        .collect();
    let endpoints: Vec<&PathStatus> = report
        .nodes
        .iter()
        .filter_map(|node| node.endpoint())
        .collect();
    let number = |paths: &[&PathStatus], wanted| {
        let found = paths.iter().filter(|path| path.reachability() == wanted);
        count(found.count())
    };
    let one = |value| vec![(Vec::new(), value)];
    let mut statuses = Vec::new();
    for (kind, paths) in [("endpoint", &endpoints), ("node", &hosts)] {
        for (status, wanted) in [
            ("reachable", Reachability::Reachable),
            ("unreachable", Reachability::Unreachable),
            ("unknown", Reachability::Unknown),
        ] {
            let labels = vec![("type", kind.to_owned()), ("status", status.to_owned())];
            statuses.push((labels, number(paths, wanted)));
        }
    }
    vec![
        gauge(
            "unreachable_nodes",
            "Nodes that cannot be reached at their own address",
            one(number(&hosts, Reachability::Unreachable)),
        ),
        gauge(
            "unreachable_health_endpoints",
            "Nodes that cannot be reached at their address on the pod network",
            one(number(&endpoints, Reachability::Unreachable)),
        ),
        gauge(
            "node_health_connectivity_status",
            "Addresses of nodes by what both ICMP and HTTP last said of them",
            statuses,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;
    use serde_json::json;

    use super::*;
    use crate::metrics::snapshot::Snapshot;

    #[test]
    fn nodes_and_their_addresses_on_the_pod_network_are_counted_apart_under_upstreams_names() {
        let well = json!({"ip": "", "icmp": {}, "http": {}});
        let bad = json!({"ip": "", "icmp": {}, "http": {"status": "no answer within 5s"}});
        let new = json!({"ip": ""});
        let node = |host, endpoint| json!({"name": "", "host": {"primary-address": host}, "health-endpoint": {"primary-address": endpoint}});
        let report = json!({
            "local": {"name": ""}, "probeInterval": "", "timestamp": "",
            "nodes": [
                node(&well, &well), node(&well, &bad), node(&bad, &bad), node(&bad, &well), node(&new, &new),
                {"name": "", "host": {"primary-address": bad}},
            ],
        });
        let report: HealthStatus = serde_json::from_value(report).unwrap();
        let mut registry = Registry::with_prefix("cilium");
        registry.register_collector(Box::new(Snapshot::of(cluster_health(&report))));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "cilium_unreachable_nodes 3.0",
            "cilium_unreachable_health_endpoints 2.0",
            r#"cilium_node_health_connectivity_status{type="node",status="reachable"} 2.0"#,
            r#"cilium_node_health_connectivity_status{type="node",status="unreachable"} 3.0"#,
            r#"cilium_node_health_connectivity_status{type="node",status="unknown"} 1.0"#,
            r#"cilium_node_health_connectivity_status{type="endpoint",status="reachable"} 2.0"#,
            r#"cilium_node_health_connectivity_status{type="endpoint",status="unreachable"} 2.0"#,
            r#"cilium_node_health_connectivity_status{type="endpoint",status="unknown"} 1.0"#,
        ] {
            assert!(
                text.lines().any(|other| other == line),
                "{line} is not in\n{text}"
            );
        }
    }
}

//! What the official dashboard "Cilium Metrics" reads, by name and labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cilium_agent::cluster_health::ClusterHealth;
use cilium_cni::model::metric::Metric;
use datapath::{Counter, Direction};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::node::{Node, node};

/// Families and their labels, without the prefix. Of a histogram its count is looked for.
const READ: [(&str, &[&str]); 38] = [
    (
        "agent_api_process_time_seconds_count",
        &["method", "path", "return_code"],
    ),
    ("bpf_map_ops_total", &["map_name", "operation", "outcome"]),
    ("bpf_map_pressure", &["map_name"]),
    ("bpf_maps_virtual_memory_max_bytes", &[]),
    ("bpf_progs_virtual_memory_max_bytes", &[]),
    ("controllers_failing", &[]),
    ("controllers_runs_total", &["status"]),
    ("controllers_runs_duration_seconds_count", &["status"]),
    (
        "datapath_conntrack_dump_resets_total",
        &["area", "family", "name"],
    ),
    (
        "datapath_conntrack_gc_entries",
        &["family", "protocol", "status"],
    ),
    ("drop_count_total", &["reason", "direction"]),
    ("drop_bytes_total", &["reason", "direction"]),
    ("forward_count_total", &["direction"]),
    ("forward_bytes_total", &["direction"]),
    ("endpoint_regenerations_total", &["outcome"]),
    (
        "endpoint_regeneration_time_stats_seconds_count",
        &["scope", "status"],
    ),
    ("endpoint_state", &["endpoint_state"]),
    ("errors_warnings_total", &["level", "subsystem"]),
    ("ip_addresses", &["family"]),
    (
        "k8s_client_api_calls_total",
        &["host", "method", "return_code"],
    ),
    (
        "k8s_client_api_latency_time_seconds_count",
        &["method", "path"],
    ),
    ("kubernetes_events_total", &["scope", "action", "status"]),
    (
        "kubernetes_events_received_total",
        &["scope", "action", "valid", "equal"],
    ),
    ("nodes_all_num", &[]),
    ("nodes_all_events_received_total", &["event_type", "source"]),
    ("policy", &[]),
    ("policy_change_total", &["outcome"]),
    ("policy_endpoint_enforcement_status", &["enforcement"]),
    ("policy_implementation_delay_count", &["source"]),
    ("policy_incremental_update_duration_count", &["scope"]),
    ("process_cpu_seconds_total", &[]),
    ("process_virtual_memory_bytes", &[]),
    ("process_resident_memory_bytes", &[]),
    ("process_open_fds", &[]),
    ("services_events_total", &["action"]),
    ("unreachable_nodes", &[]),
    ("unreachable_health_endpoints", &[]),
    ("version", &["version", "revision", "arch"]),
];

/// What it reads and an agent of ours has nothing to say of: there is no proxy and no store but the API server's, and single calls
/// to the kernel are not timed (neither are they by Cilium, unless it is told to).
const ABSENT: [&str; 5] = [
    "kvstore_",
    "policy_l7_",
    "proxy_redirects",
    "proxy_upstream_",
    "bpf_syscall_",
];

/// Everything that is counted only once it was so.
async fn has_lived(node: &Node) {
    let agent = &node.agent;
    let counter = |reason| Counter {
        reason,
        direction: Direction::Egress,
        packets: 1,
        bytes: 100,
    };
    node.datapath
        .fake
        .set_counters(vec![counter(0), counter(132)]);
    let health = ClusterHealth::new(&agent.own, Timestamp::now());
    let _ = agent.cluster_health.set(Arc::new(health));
    let short = Duration::from_millis(1);
    agent.timings.policy_delay("k8s-network-policy", short);
    agent.timings.policy_pass(short);
    agent.timings.endpoint_made(short);
    agent.ran("network", std::time::Instant::now(), None);
    let nobody = agent
        .kubernetes
        .apply_cilium_node("worker-1", &json!({}))
        .await;
    assert!(nobody.is_err());
    let _: Value = node.get("/debuginfo").await;
    node.progress.serving(agent.clone());
}

/// Labels as the index of our own dashboards has them.
fn indexed(labels: &'static str, name: &str) -> BTreeSet<&'static str> {
    let line = format!("{name} = ");
    let list = labels.lines().find_map(|one| one.strip_prefix(&line));
    list.unwrap_or_default()
        .split('"')
        .skip(1)
        .step_by(2)
        .collect()
}

#[test]
fn the_index_of_our_dashboards_has_the_labels_that_the_official_one_reads() {
    let index = include_str!("../../../../../dashboards/metrics.toml");
    let (metrics, labels) = index.split_once("\n[labels]\n").unwrap();
    let mut compared = 0;
    for (name, expected) in READ {
        let histogram = name.strip_suffix("_count").map(|of| format!("{of}_bucket"));
        let name = format!("cilium_{}", histogram.as_deref().unwrap_or(name));
        if metrics.contains(&format!("\"{name}\"")) {
            let expected = expected.iter().copied().collect();
            assert_eq!(indexed(labels, &name), expected, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}

#[tokio::test]
async fn an_agent_that_serves_shows_what_the_official_dashboard_reads_and_says_what_not() {
    let node = node("10.244.1.0/24").await;
    has_lived(&node).await;
    let shown: Vec<Metric> = node.get("/metrics").await;
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for metric in &shown {
        let Some(name) = metric.name.strip_prefix("cilium_") else {
            continue;
        };
        let of = labels.entry(name).or_default();
        of.extend(metric.labels.keys().map(String::as_str));
    }
    for (name, expected) in READ {
        let found = labels.get(name);
        assert_eq!(found, Some(&expected.iter().copied().collect()), "{name}");
    }
    for prefix in ABSENT {
        assert!(
            !labels.keys().any(|name| name.starts_with(prefix)),
            "{prefix}"
        );
    }
}

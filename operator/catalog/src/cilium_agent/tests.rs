use cilium_api::HubbleMetric;
use cilium_api::hubble_metrics::{Flag, MetricName};

use super::*;
use crate::Input;
use crate::State;
use crate::component::tests::{answered, failed, input, input_of, named, running};

mod ways;

fn two_nodes() -> Observed {
    let mut observed = running(&WORKLOAD, 2);
    for node in ["control-plane", "worker-1"] {
        observed.nodes.push(node.to_owned());
        observed
            .cilium_nodes
            .insert(node.to_owned(), vec!["10.244.0.0/24".to_owned()]);
        observed.probes.push(answered(
            DATAPATH,
            &format!("kube-system/cilium-{node}"),
            &[],
        ));
    }
    observed
}

#[test]
fn every_node_with_addresses_and_a_working_datapath_is_healthy() {
    let health = CiliumAgent.health(&input(), &two_nodes());
    assert_eq!(
        (health.state, health.ready, health.desired),
        (State::Healthy, 2, 2),
        "{}",
        health.message
    );
}

#[test]
fn a_node_without_pod_cidr_is_named() {
    let mut observed = two_nodes();
    observed.cilium_nodes.remove("worker-1");
    let health = CiliumAgent.health(&input(), &observed);
    assert_eq!(health.state, State::Progressing);
    assert!(health.message.contains("worker-1"), "{}", health.message);
}

#[test]
fn a_soaking_agent_does_not_hold_back_the_platform() {
    let mut observed = two_nodes();
    observed.workloads[0].available = 0;
    assert_eq!(
        CiliumAgent.health(&input(), &observed).state,
        State::Healthy
    );
}

#[test]
fn a_datapath_that_fails_twice_is_degraded_and_once_is_not() {
    let mut observed = two_nodes();
    let target = observed.probes[0].target.clone();
    observed.probes[0] = failed(DATAPATH, &target, "missing default/web-0");
    assert_eq!(
        CiliumAgent.health(&input(), &observed).state,
        State::Progressing
    );
    observed.earlier = vec![failed(DATAPATH, &target, "missing default/web-0")];
    let health = CiliumAgent.health(&input(), &observed);
    assert_eq!(health.state, State::Degraded);
    assert!(
        health.message.contains("default/web-0"),
        "{}",
        health.message
    );
}

#[test]
fn the_running_agent_cannot_reach_the_nodes_cni_programs() {
    let objects = CiliumAgent.objects(&input()).unwrap();
    let daemonset = named(&objects, "DaemonSet", "cilium");
    let mounts = &daemonset.data["spec"]["template"]["spec"]["containers"][0]["volumeMounts"];
    assert!(!mounts.to_string().contains("cni-programs"), "{mounts}");
    assert!(!mounts.to_string().contains("/opt/cni"), "{mounts}");
}

/// By this label cilium-cli finds the logs it judges; without it those of operator and relay would go unread.
#[test]
fn every_pod_of_ciliums_parts_bears_the_label_that_tools_look_for() {
    let parts: [(&dyn Component, &str, &str); 3] = [
        (&CiliumAgent, "DaemonSet", "cilium"),
        (
            &crate::cilium_operator::CiliumOperator,
            "Deployment",
            "cilium-operator",
        ),
        (
            &crate::hubble_relay::HubbleRelay,
            "Deployment",
            "hubble-relay",
        ),
    ];
    for (component, kind, name) in parts {
        let objects = component.objects(&input()).unwrap();
        let pod = &named(&objects, kind, name).data["spec"]["template"];
        let labels = &pod["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/part-of"], "cilium", "{name}");
    }
}

#[test]
fn the_agent_asks_for_no_secrets_no_deletes_and_no_wildcards() {
    let objects = CiliumAgent.objects(&input()).unwrap();
    for kind in ["ClusterRole", "Role"] {
        let rules = named(&objects, kind, "cilium").data["rules"].to_string();
        for forbidden in ["secrets", "delete", "\"*\"", "exec", "proxy", "escalate"] {
            assert!(!rules.contains(forbidden), "{forbidden} in {rules}");
        }
    }
}

/// Labels that dashboards, dry runs and insights read of `hubble_flows_processed_total`.
#[test]
fn by_default_requests_between_workloads_are_counted_with_the_labels_that_others_read() {
    let objects = CiliumAgent.objects(&input()).unwrap();
    let config = &named(&objects, "ConfigMap", "cilium-config").data["data"];
    let entries = config["hubble-metrics"].as_str().unwrap();
    let metrics = HubbleMetric::list(entries.split_whitespace()).unwrap();
    let flow = metrics.iter().find(|one| one.name == MetricName::Flow);
    let flow = flow.unwrap();
    assert!(flow.has(Flag::RequestsOnly) && flow.has(Flag::WorkloadsOnly));
    let labels: Vec<&str> = flow.labels.iter().map(|label| label.word()).collect();
    assert_eq!(
        labels,
        [
            "source_namespace",
            "source_workload",
            "destination_namespace",
            "destination_workload"
        ]
    );
}

#[test]
fn other_metrics_are_other_pods() {
    let digest = |input: &Input| {
        let objects = CiliumAgent.objects(input).unwrap();
        let template = &named(&objects, "DaemonSet", "cilium").data["spec"]["template"];
        template["metadata"]["annotations"].to_string()
    };
    let other = input_of(|spec| spec.cilium.hubble.metrics = vec!["drop".to_owned()]);
    assert_ne!(digest(&input()), digest(&other));
}

#[test]
fn the_admission_policies_come_before_the_rights_they_limit() {
    let objects = CiliumAgent.objects(&input()).unwrap();
    let position = |kind: &str| {
        objects
            .iter()
            .position(|object| object.types.as_ref().unwrap().kind == kind)
            .unwrap()
    };
    assert!(position("ValidatingAdmissionPolicyBinding") < position("ClusterRole"));
}

#[test]
fn maglev_is_said_in_upstreams_keys_with_a_seed_of_the_clusters_own() {
    let config = |input: &Input| {
        let objects = CiliumAgent.objects(input).unwrap();
        let found = named(&objects, "ConfigMap", "cilium-config");
        found.data["data"].clone()
    };
    let random = config(&input());
    assert_eq!(random["bpf-lb-algorithm"], "random");
    assert_eq!(random.get("bpf-lb-maglev-hash-seed"), None);
    let mut maglev = input_of(|spec| {
        spec.cilium.load_balancer.algorithm = gloonet_api::cilium::Algorithm::Maglev;
        spec.cilium.load_balancer.maglev_table_size = 251;
    });
    let first = config(&maglev);
    assert_eq!(first["bpf-lb-algorithm"], "maglev");
    assert_eq!(first["bpf-lb-maglev-table-size"], "251");
    let seed = |config: &serde_json::Value| {
        let text = config["bpf-lb-maglev-hash-seed"].as_str().unwrap();
        assert_eq!((text.len(), text.contains('=')), (16, false), "{text}");
        text.to_owned()
    };
    maglev.uid = "another".to_owned();
    let other = config(&maglev);
    assert_ne!(seed(&first), seed(&other));
    assert_eq!(seed(&other), seed(&config(&maglev)));
}

#[test]
fn native_routing_is_said_in_upstreams_keys() {
    let mut input = input();
    let config = |input: &Input| {
        let objects = CiliumAgent.objects(input).unwrap();
        let found = named(&objects, "ConfigMap", "cilium-config");
        found.data["data"].clone()
    };
    let tunnel = config(&input);
    assert_eq!(tunnel["routing-mode"], "tunnel");
    assert_eq!(tunnel.get("auto-direct-node-routes"), None);
    input.spec.cilium.routing.mode = gloonet_api::cilium::RoutingMode::Native;
    let native = config(&input);
    assert_eq!(native["routing-mode"], "native");
    assert_eq!(native["auto-direct-node-routes"], "true");
    assert_eq!(native["ipv4-native-routing-cidr"], "10.244.0.0/16");
}

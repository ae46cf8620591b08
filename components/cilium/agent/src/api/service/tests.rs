use datapath::WhenEmpty;
use k8s_openapi::api::core::v1::{Pod, Service as Object};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::*;

const OWN: Own<'_> = Own {
    name: "worker-1",
    ip: Ipv4Addr::new(172, 30, 0, 11),
    zone: None,
    maglev: None,
    reserved: &crate::services::NOTHING,
};

/// Its balancer's address counts where the type says so.
fn object(spec: &Value) -> Object {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "web"}, "spec": spec,
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    }))
    .unwrap()
}

fn slice(name: &str, endpoints: &Value) -> EndpointSlice {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": name, "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 8080}],
    }))
    .unwrap()
}

fn in_kernel(at: (&str, u16), backends: &[&str]) -> Balanced {
    Balanced {
        frontend: Frontend {
            ip: at.0.parse().unwrap(),
            port: at.1,
            protocol: Protocol::Tcp,
            scope: datapath::Scope::Inside,
        },
        backends: backends
            .iter()
            .map(|ip| Backend {
                ip: ip.parse().unwrap(),
                port: 8080,
            })
            .collect(),
        affinity_seconds: None,
        when_empty: WhenEmpty::Refuse,
        exclusive: true,
        source_ranges: Vec::new(),
        maglev: None,
    }
}

fn described(
    spec: &Value,
    slices: &[EndpointSlice],
    pods: &[Pod],
    realized: Vec<(u32, Balanced)>,
) -> Value {
    let object = object(spec);
    let slices = Slices::of(slices);
    let wanted = claims([&object], &slices, pods, OWN);
    serde_json::to_value(describe(&wanted, realized, &slices)).unwrap()
}

fn column<'a>(all: &'a Value, pointer: &str) -> Vec<&'a Value> {
    let services = all.as_array().unwrap().iter();
    services
        .map(|service| service.pointer(pointer).unwrap_or(&Value::Null))
        .collect()
}

fn cluster_ip() -> Value {
    json!({"clusterIP": "10.96.0.7", "ports": [{"port": 80}]})
}

#[test]
fn what_is_wanted_and_what_the_kernel_has_are_told_apart_in_ciliums_fields() {
    let slices = [slice(
        "web-1",
        &json!([
            {"addresses": ["10.244.1.5"], "nodeName": "worker-1", "zone": "north"},
            {"addresses": ["10.244.2.6"], "nodeName": "worker-2"},
        ]),
    )];
    let realized = vec![(41, in_kernel(("10.96.0.7", 80), &["10.244.1.5"]))];
    let shown = described(&cluster_ip(), &slices, &[], realized);
    let frontend = json!({"ip": "10.96.0.7", "port": 80, "protocol": "TCP", "scope": "external"});
    let flags = json!({
        "namespace": "shop", "name": "web", "type": "ClusterIP",
        "trafficPolicy": "Cluster", "extTrafficPolicy": "Cluster", "intTrafficPolicy": "Cluster",
    });
    let near = json!({
        "ip": "10.244.1.5", "port": 8080, "protocol": "TCP", "nodeName": "worker-1", "zone": "north", "state": "active",
    });
    let far = json!({
        "ip": "10.244.2.6", "port": 8080, "protocol": "TCP", "nodeName": "worker-2", "state": "active",
    });
    let spec = |backends: &[&Value]| {
        json!({
            "id": 41, "frontend-address": frontend, "backend-addresses": backends, "flags": flags,
        })
    };
    assert_eq!(
        shown,
        json!([{"spec": spec(&[&near, &far]), "status": {"realized": spec(&[&near])}}])
    );
}

#[test]
fn what_the_kernel_does_not_have_yet_has_no_number_and_no_realized_state() {
    let shown = described(&cluster_ip(), &[], &[], Vec::new());
    assert_eq!(shown[0]["spec"].get("id"), None);
    assert_eq!(shown[0]["status"], json!({}));
}

#[test]
fn what_nobody_wants_any_more_is_shown_with_its_backends_and_without_an_owner() {
    let realized = vec![(9, in_kernel(("10.96.0.8", 80), &["10.244.1.5"]))];
    let shown = described(&json!({}), &[], &[], realized);
    assert_eq!(shown.as_array().unwrap().len(), 1);
    let spec = &shown[0]["spec"];
    assert_eq!(spec["frontend-address"]["ip"], "10.96.0.8");
    assert_eq!(spec["backend-addresses"], json!([]));
    assert_eq!(spec["flags"], json!({}));
    let realized = &shown[0]["status"]["realized"];
    assert_eq!(realized["backend-addresses"][0]["ip"], "10.244.1.5");
    assert_eq!(realized["backend-addresses"][0]["state"], "active");
}

#[test]
fn each_address_has_its_type_and_those_with_an_outside_have_two_scopes() {
    let spec = json!({
        "type": "LoadBalancer", "clusterIP": "10.96.0.7", "externalIPs": ["203.0.113.7"],
        "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000,
        "ports": [{"port": 80, "nodePort": 30080}],
    });
    let shown = described(&spec, &[], &[], Vec::new());
    let [types, scopes] = ["/spec/flags/type", "/spec/frontend-address/scope"];
    let both = |kind| [(kind, "internal"), (kind, "external")];
    let expected = [
        vec![("ClusterIP", "external")],
        both("NodePort").to_vec(),
        both("LoadBalancer").to_vec(),
        both("ExternalIPs").to_vec(),
    ]
    .concat();
    let found: Vec<_> = column(&shown, types)
        .into_iter()
        .zip(column(&shown, scopes))
        .map(|(kind, scope)| (kind.as_str().unwrap(), scope.as_str().unwrap()))
        .collect();
    assert_eq!(found, expected);
    let flags = &shown[0]["spec"]["flags"];
    assert_eq!(flags["trafficPolicy"], "Local");
    assert_eq!(flags["extTrafficPolicy"], "Local");
    assert_eq!(flags["intTrafficPolicy"], "Cluster");
    assert_eq!(flags["healthCheckNodePort"], 32000);
}

#[test]
fn an_endpoint_that_ends_is_terminating_unless_another_slice_knows_better() {
    let leaving = json!({"ready": false, "serving": true, "terminating": true});
    let endpoints = json!([{"addresses": ["10.244.1.5"], "conditions": leaving}]);
    let states = |slices: &[EndpointSlice]| {
        let realized = vec![(1, in_kernel(("10.96.0.7", 80), &["10.244.1.5"]))];
        let shown = described(&cluster_ip(), slices, &[], realized);
        let pointer = "/status/realized/backend-addresses/0/state";
        column(&shown, pointer)[0].clone()
    };
    let old = slice("web-1", &endpoints);
    let new = slice("web-2", &json!([{"addresses": ["10.244.1.5"]}]));
    assert_eq!(states(std::slice::from_ref(&old)), "terminating");
    assert_eq!(states(&[old.clone(), new.clone()]), "active");
    assert_eq!(states(&[new, old]), "active");
}

#[test]
fn a_host_port_is_named_after_its_pod_and_has_no_traffic_policy() {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"namespace": "kube-system", "name": "dns-1", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": "worker-1", "containers": [
            {"name": "dns", "ports": [{"containerPort": 53, "hostPort": 5353, "protocol": "UDP"}]}]},
        "status": {"phase": "Running", "podIP": "10.244.1.9"},
    }))
    .unwrap();
    let shown = described(&json!({}), &[], &[pod], Vec::new());
    assert_eq!(
        shown[1]["spec"]["flags"],
        json!({"namespace": "kube-system", "name": "dns-1", "type": "HostPort"})
    );
    assert_eq!(
        shown[1]["spec"]["backend-addresses"],
        json!([{"ip": "10.244.1.9", "port": 53, "protocol": "UDP", "nodeName": "worker-1", "state": "terminating"}])
    );
}

#[test]
fn an_sctp_port_is_said_to_be_one_at_its_address_and_at_its_endpoints() {
    let spec = json!({"clusterIP": "10.96.0.7", "ports": [{"port": 3868, "protocol": "SCTP"}]});
    let mut slice = slice("web-1", &json!([{"addresses": ["10.244.1.5"]}]));
    slice.ports = serde_json::from_value(json!([{"port": 3900, "protocol": "SCTP"}])).unwrap();
    let shown = described(&spec, &[slice], &[], Vec::new());
    let spec = &shown[0]["spec"];
    assert_eq!(spec["frontend-address"]["protocol"], "SCTP");
    let backend = &spec["backend-addresses"][0];
    assert_eq!(
        (&backend["port"], &backend["protocol"]),
        (&json!(3900), &json!("SCTP"))
    );
}

use std::collections::BTreeSet;

use datapath::{Backend, WhenEmpty};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::services::endpoints::SERVICE_NAME;

fn service(spec: Value) -> Service {
    serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": "web"}, "spec": spec}))
        .unwrap()
}

fn slice(endpoints: Value) -> EndpointSlice {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }))
    .unwrap()
}

fn http() -> Value {
    json!({"clusterIP": "10.96.0.7", "ports": [{"name": "http", "port": 80, "targetPort": "web"}]})
}

const OWN: Own<'_> = Own {
    name: "worker-1",
    ip: Ipv4Addr::new(172, 30, 0, 11),
    zone: Some("north"),
};

fn translated(service: &Service, slices: &[EndpointSlice]) -> Vec<Balanced> {
    translate([service], slices, [], OWN)
        .into_values()
        .collect()
}

/// What is reached at an address and port, from inside and from outside.
fn reached(
    service: &Service,
    slices: &[EndpointSlice],
    at: &str,
) -> (Option<Balanced>, Option<Balanced>) {
    let Backend { ip, port } = backend(at);
    let mut all = translate([service], slices, [], OWN);
    let mut take = |scope| {
        all.remove(&Frontend {
            ip,
            port,
            protocol: Protocol::Tcp,
            scope,
        })
    };
    (take(Scope::Inside), take(Scope::Outside))
}

/// One endpoint here, one elsewhere.
fn here_and_there() -> EndpointSlice {
    slice(json!([
        {"addresses": ["10.244.1.5"], "nodeName": "worker-1"},
        {"addresses": ["10.244.2.5"], "nodeName": "worker-2"},
    ]))
}

fn load_balancer() -> Value {
    json!({
        "type": "LoadBalancer", "clusterIP": "10.96.0.7", "externalIPs": ["203.0.113.7"],
        "ports": [{"name": "http", "port": 80, "nodePort": 30080}],
    })
}

fn backend(text: &str) -> Backend {
    let (ip, port) = text.split_once(':').unwrap();
    Backend {
        ip: ip.parse().unwrap(),
        port: port.parse().unwrap(),
    }
}

#[test]
fn a_cluster_ip_service_goes_to_its_ready_endpoints_on_the_slices_port() {
    let slice = slice(json!([
        {"addresses": ["10.244.1.5"], "conditions": {"ready": true}},
        {"addresses": ["10.244.2.5"]},
        {"addresses": ["10.244.2.6"], "conditions": {"ready": false}},
    ]));
    let balanced = translated(&service(http()), &[slice]);
    assert_eq!(balanced.len(), 1);
    assert_eq!(
        balanced[0].frontend,
        Frontend {
            ip: "10.96.0.7".parse().unwrap(),
            port: 80,
            protocol: Protocol::Tcp,
            scope: Scope::Inside,
        }
    );
    assert_eq!(
        balanced[0].backends,
        [backend("10.244.1.5:8080"), backend("10.244.2.5:8080")]
    );
    assert_eq!(balanced[0].affinity_seconds, None);
}

#[test]
fn terminating_endpoints_that_still_serve_are_used_only_when_no_ready_one_is_left() {
    let leaving = json!({"addresses": ["10.244.1.5"], "conditions": {"ready": false, "serving": true, "terminating": true}});
    let gone = json!({"addresses": ["10.244.1.6"], "conditions": {"ready": false, "serving": false, "terminating": true}});
    let ready = json!({"addresses": ["10.244.1.7"], "conditions": {"ready": true}});
    let alone = translated(&service(http()), &[slice(json!([leaving, gone]))]);
    assert_eq!(alone[0].backends, [backend("10.244.1.5:8080")]);
    let relieved = translated(&service(http()), &[slice(json!([leaving, gone, ready]))]);
    assert_eq!(relieved[0].backends, [backend("10.244.1.7:8080")]);
}

#[test]
fn a_service_without_endpoints_stays_so_that_connections_are_refused() {
    let balanced = translated(&service(http()), &[]);
    assert_eq!(balanced.len(), 1);
    assert!(balanced[0].backends.is_empty());
}

#[test]
fn headless_and_external_name_services_and_sctp_ports_have_nothing_to_balance() {
    for spec in [
        json!({"clusterIP": "None", "ports": [{"port": 80}]}),
        json!({"type": "ExternalName", "externalName": "x.example"}),
        json!({"clusterIP": "10.96.0.7", "ports": [{"port": 80, "protocol": "SCTP"}]}),
        json!({"clusterIP": "fd00::1", "ports": [{"port": 80}]}),
    ] {
        assert!(translated(&service(spec.clone()), &[]).is_empty(), "{spec}");
    }
}

#[test]
fn a_service_that_says_that_others_balance_it_is_left_to_them() {
    for label in ["service-proxy-name", "headless"] {
        let mut service = service(http());
        let label = format!("service.kubernetes.io/{label}");
        service.metadata.labels = Some([(label, String::new())].into());
        assert!(translated(&service, &[]).is_empty());
    }
}

#[test]
fn endpoints_of_a_slice_that_says_so_are_no_backends() {
    for label in ["service-proxy-name", "headless"] {
        let mut elsewhere = here_and_there();
        let labels = elsewhere.metadata.labels.as_mut().unwrap();
        labels.insert(format!("service.kubernetes.io/{label}"), String::new());
        assert_eq!(translated(&service(http()), &[elsewhere])[0].backends, []);
    }
}

#[test]
fn the_ipv4_address_of_a_dual_stack_service_is_taken() {
    let spec = json!({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1", "10.96.0.7"], "ports": [{"port": 80}]});
    let balanced = translated(&service(spec), &[]);
    assert_eq!(
        balanced[0].frontend.ip,
        "10.96.0.7".parse::<Ipv4Addr>().unwrap()
    );
}

#[test]
fn udp_53_and_tcp_53_are_two_frontends_and_names_are_matched_with_the_protocol() {
    let service = service(json!({"clusterIP": "10.96.0.10", "ports": [
        {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]}));
    let mut slice = slice(json!([{"addresses": ["10.244.1.5"]}]));
    slice.ports = serde_json::from_value(json!([
        {"name": "dns", "port": 1053, "protocol": "UDP"}, {"name": "dns-tcp", "port": 2053, "protocol": "TCP"}]))
    .unwrap();
    let balanced = translated(&service, &[slice]);
    let ports: Vec<_> = balanced
        .iter()
        .map(|s| (s.frontend.protocol, s.backends[0].port))
        .collect();
    assert_eq!(ports, [(Protocol::Tcp, 2053), (Protocol::Udp, 1053)]);
}

#[test]
fn client_ip_affinity_has_the_services_timeout_or_three_hours() {
    let mut spec = http();
    spec["sessionAffinity"] = json!("ClientIP");
    assert_eq!(
        translated(&service(spec.clone()), &[])[0].affinity_seconds,
        Some(10_800)
    );
    spec["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": 60}});
    assert_eq!(
        translated(&service(spec), &[])[0].affinity_seconds,
        Some(60)
    );
}

#[test]
fn internal_traffic_policy_local_keeps_only_the_own_nodes_endpoints() {
    let mut spec = http();
    spec["internalTrafficPolicy"] = json!("Local");
    assert_eq!(
        translated(&service(spec), &[here_and_there()])[0].backends,
        [backend("10.244.1.5:8080")]
    );
}

#[test]
fn a_node_port_an_external_address_and_a_load_balancers_lead_to_all_endpoints_from_both_sides() {
    let mut service = service(load_balancer());
    service.status = serde_json::from_value(json!({"loadBalancer": {"ingress": [
        {"ip": "198.51.100.9"}, {"ip": "198.51.100.8", "ipMode": "Proxy"}, {"hostname": "lb.example"}]}}))
    .unwrap();
    let slices = [here_and_there()];
    let both = [backend("10.244.1.5:8080"), backend("10.244.2.5:8080")];
    for at in ["172.30.0.11:30080", "203.0.113.7:80", "198.51.100.9:80"] {
        let (inside, outside) = reached(&service, &slices, at);
        for balanced in [inside.unwrap(), outside.unwrap()] {
            assert_eq!(balanced.backends, both, "{at}");
            assert!(!balanced.exclusive, "{at} may be a host's as well");
        }
    }
    assert_eq!(reached(&service, &slices, "198.51.100.8:80"), (None, None));
    let (inside, outside) = reached(&service, &slices, "10.96.0.7:80");
    assert!(inside.unwrap().exclusive);
    assert_eq!(outside, None, "a ClusterIP is not for the outside");
    assert_eq!(translate([&service], &slices, [], OWN).len(), 7);
}

#[test]
fn a_load_balancers_address_that_is_left_in_the_status_of_another_type_is_nobodys() {
    let mut spec = load_balancer();
    spec["type"] = json!("NodePort");
    let mut service = service(spec);
    service.status =
        serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}}))
            .unwrap();
    assert_eq!(reached(&service, &[], "198.51.100.9:80"), (None, None));
    assert!(reached(&service, &[], "172.30.0.11:30080").1.is_some());
}

#[test]
fn no_service_takes_an_address_that_means_the_node_itself() {
    let mut spec = load_balancer();
    spec["externalIPs"] = json!(["127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"]);
    let mut taken = service(spec);
    taken.status = serde_json::from_value(
        json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.53"}, {"ip": "203.0.113.9"}]}}),
    )
    .unwrap();
    let addresses: BTreeSet<String> = translated(&taken, &[here_and_there()])
        .iter()
        .map(|one| one.frontend.ip.to_string())
        .collect();
    let expected = ["10.96.0.7", "203.0.113.9", &OWN.ip.to_string()].map(ToOwned::to_owned);
    assert_eq!(addresses, expected.into());
}

#[test]
fn external_traffic_policy_local_keeps_the_outside_on_this_node_and_the_inside_anywhere() {
    let mut spec = load_balancer();
    spec["externalTrafficPolicy"] = json!("Local");
    let service = service(spec);
    let (inside, outside) = reached(&service, &[here_and_there()], "172.30.0.11:30080");
    assert_eq!(inside.unwrap().backends.len(), 2);
    assert_eq!(outside.unwrap().backends, [backend("10.244.1.5:8080")]);
}

#[test]
fn without_a_local_endpoint_packets_are_dropped_for_another_node_has_one_and_refused_if_none_has() {
    let mut spec = load_balancer();
    spec["externalTrafficPolicy"] = json!("Local");
    spec["internalTrafficPolicy"] = json!("Local");
    let service = service(spec);
    let elsewhere = slice(json!([{"addresses": ["10.244.2.5"], "nodeName": "worker-2"}]));
    for (slices, expected) in [
        (vec![elsewhere], WhenEmpty::Drop),
        (vec![], WhenEmpty::Refuse),
    ] {
        let (inside, _) = reached(&service, &slices, "10.96.0.7:80");
        let (_, outside) = reached(&service, &slices, "172.30.0.11:30080");
        for balanced in [inside.unwrap(), outside.unwrap()] {
            assert_eq!(
                (balanced.backends.len(), balanced.when_empty),
                (0, expected)
            );
        }
    }
}

#[test]
fn a_local_endpoint_that_is_ending_serves_when_the_ready_ones_are_elsewhere() {
    let mut spec = load_balancer();
    spec["externalTrafficPolicy"] = json!("Local");
    let slice = slice(json!([
        {"addresses": ["10.244.1.5"], "nodeName": "worker-1",
         "conditions": {"ready": false, "serving": true, "terminating": true}},
        {"addresses": ["10.244.2.5"], "nodeName": "worker-2"},
    ]));
    let (inside, outside) = reached(&service(spec), &[slice], "172.30.0.11:30080");
    assert_eq!(inside.unwrap().backends, [backend("10.244.2.5:8080")]);
    assert_eq!(outside.unwrap().backends, [backend("10.244.1.5:8080")]);
}

#[test]
fn source_ranges_close_a_load_balancers_address_to_the_outside_and_one_that_is_unreadable_opens_nothing()
 {
    let mut spec = load_balancer();
    spec["loadBalancerSourceRanges"] = json!(["192.0.2.7/24", " 192.0.2.0/24 ", "fd00::/8"]);
    let balanced = |spec: Value| {
        let mut service = service(spec);
        service.status =
            serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}}))
                .unwrap();
        let of = |at| reached(&service, &[], at);
        (of("198.51.100.9:80"), of("172.30.0.11:30080"))
    };
    let ((inside, outside), (_, node_port)) = balanced(spec.clone());
    assert_eq!(
        outside.unwrap().source_ranges,
        ["192.0.2.0/24".parse().unwrap()]
    );
    assert!(inside.unwrap().source_ranges.is_empty());
    assert!(node_port.unwrap().source_ranges.is_empty());
    spec["loadBalancerSourceRanges"] = json!(["fd00::/8"]);
    let ((_, outside), _) = balanced(spec);
    assert_eq!(
        outside.unwrap().source_ranges,
        ["0.0.0.0/32".parse().unwrap()]
    );
}

#[test]
fn of_two_services_at_one_address_the_older_keeps_it() {
    let at = |created: &str, name: &str, target: &str| {
        let mut service = service(json!({
            "clusterIP": "None", "clusterIPs": [target], "externalIPs": ["203.0.113.7"], "ports": [{"port": 80}]}));
        service.metadata.name = Some(name.to_owned());
        service.metadata.creation_timestamp = serde_json::from_value(json!(created)).unwrap();
        service
    };
    let old = at("2026-01-01T00:00:00Z", "old", "10.96.0.1");
    let mut new = at("2026-02-01T00:00:00Z", "a-new-one", "10.96.0.2");
    new.spec.as_mut().unwrap().session_affinity = Some("ClientIP".to_owned());
    for services in [[&old, &new], [&new, &old]] {
        let balanced = translate(services, [], [], OWN);
        let taken = balanced
            .values()
            .find(|one| one.frontend.ip == Ipv4Addr::new(203, 0, 113, 7));
        assert_eq!(taken.unwrap().affinity_seconds, None);
    }
}

#[test]
fn hints_keep_connections_near_only_when_every_endpoint_has_one_and_one_is_for_us() {
    let hinted =
        |last: u8, hints: Value| json!({"addresses": [format!("10.244.1.{last}")], "hints": hints});
    let zone = |last, zone: &str| hinted(last, json!({"forZones": [{"name": zone}]}));
    let node = |last, node: &str| {
        hinted(
            last,
            json!({"forZones": [{"name": "north"}], "forNodes": [{"name": node}]}),
        )
    };
    let chosen = |endpoints: Value| -> Vec<u8> {
        let all = translated(&service(http()), &[slice(endpoints)]);
        all[0]
            .backends
            .iter()
            .map(|backend| backend.ip.octets()[3])
            .collect()
    };
    assert_eq!(chosen(json!([zone(1, "north"), zone(2, "south")])), [1]);
    assert_eq!(
        chosen(json!([zone(1, "north"), hinted(2, json!({}))])),
        [1, 2]
    );
    assert_eq!(chosen(json!([zone(1, "south"), zone(2, "south")])), [1, 2]);
    assert_eq!(
        chosen(json!([node(1, "worker-2"), node(2, "worker-1")])),
        [2]
    );
}

#[test]
fn a_health_check_port_counts_the_ready_endpoints_here() {
    let mut spec = load_balancer();
    spec["externalTrafficPolicy"] = json!("Local");
    spec["healthCheckNodePort"] = json!(32_000);
    let endpoints = slice(json!([
        {"addresses": ["10.244.1.5"], "nodeName": "worker-1"},
        {"addresses": ["10.244.1.5"], "nodeName": "worker-1"},
        {"addresses": ["10.244.1.6"], "nodeName": "worker-1", "conditions": {"ready": false}},
        {"addresses": ["10.244.2.5"], "nodeName": "worker-2"},
    ]));
    let checks = |spec: &Value, endpoints: &[EndpointSlice]| {
        health_checks([&service(spec.clone())], endpoints, OWN)
    };
    let found = checks(&spec, &[endpoints]);
    assert_eq!(found.keys().collect::<Vec<_>>(), [&32_000]);
    assert_eq!(
        (found[&32_000].name.as_str(), found[&32_000].local_endpoints),
        ("web", 1)
    );
    assert_eq!(checks(&spec, &[])[&32_000].local_endpoints, 0);
    spec["externalTrafficPolicy"] = json!("Cluster");
    assert!(checks(&spec, &[]).is_empty());
}

#[test]
fn a_host_port_of_a_running_pod_is_at_the_nodes_address_and_yields_to_a_service() {
    let pod = |name: &str, spec: Value, phase: &str| -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": name}, "spec": spec,
            "status": {"phase": phase, "podIP": "10.244.1.9"},
        }))
        .unwrap()
    };
    let spec = |ports: Value| json!({"containers": [{"name": "main", "ports": ports}]});
    let wanted = json!([
        {"containerPort": 8080, "hostPort": 80}, {"containerPort": 53, "hostPort": 53, "protocol": "UDP"},
        {"containerPort": 9, "hostPort": 9, "hostIP": "198.51.100.1"}, {"containerPort": 10},
        {"containerPort": 8443, "hostPort": 443, "hostIP": "127.0.0.1"},
    ]);
    let running = pod("a", spec(wanted.clone()), "Running");
    let balanced = translate([], [], [&running], OWN);
    let found: Vec<_> = balanced
        .values()
        .filter(|one| one.frontend.scope == Scope::Outside)
        .map(|one| (one.frontend.ip, one.frontend.port, one.backends[0]))
        .collect();
    assert_eq!(
        found,
        [
            (OWN.ip, 53, backend("10.244.1.9:53")),
            (OWN.ip, 80, backend("10.244.1.9:8080"))
        ]
    );
    let at_home: Vec<_> = balanced
        .keys()
        .filter(|frontend| frontend.ip.is_loopback())
        .map(|frontend| (frontend.port, frontend.scope))
        .collect();
    assert_eq!(at_home, [(443, Scope::Inside)]);
    let mut on_host = spec(wanted.clone());
    on_host["hostNetwork"] = json!(true);
    for silent in [
        pod("b", spec(wanted.clone()), "Succeeded"),
        pod("c", on_host, "Running"),
    ] {
        assert!(translate([], [], [&silent], OWN).is_empty());
    }
    let mut taken = load_balancer();
    taken["ports"][0]["nodePort"] = json!(80);
    let service = service(taken);
    let balanced = translate([&service], [], [&running], OWN);
    let port_80 = balanced.values().find(|one| {
        (one.frontend.ip, one.frontend.port, one.frontend.scope) == (OWN.ip, 80, Scope::Outside)
    });
    assert_eq!(port_80.unwrap().backends, []);
}

#[test]
fn a_slice_that_points_at_the_node_itself_or_at_metadata_gives_no_backend() {
    let slice = slice(
        json!([{"addresses": ["127.0.0.1"]}, {"addresses": ["169.254.169.254"]}, {"addresses": ["nonsense"]}]),
    );
    assert!(
        translated(&service(http()), &[slice])[0]
            .backends
            .is_empty()
    );
}

#[test]
fn a_slice_of_another_namespace_or_family_is_not_ours() {
    let mut foreign = slice(json!([{"addresses": ["10.244.1.5"]}]));
    foreign.metadata.namespace = Some("bank".to_owned());
    let mut six = slice(json!([{"addresses": ["10.244.1.6"]}]));
    six.address_type = "IPv6".to_owned();
    assert!(
        translated(&service(http()), &[foreign, six])[0]
            .backends
            .is_empty()
    );
}

#[test]
fn the_api_servers_addresses_are_those_behind_its_service() {
    let mut own = slice(json!([{"addresses": ["172.30.0.10"]}]));
    own.metadata.namespace = Some("default".to_owned());
    own.metadata.labels = Some([(SERVICE_NAME.to_owned(), "kubernetes".to_owned())].into());
    let found = addresses_of(
        &[own, slice(json!([{"addresses": ["10.244.1.5"]}]))],
        "default",
        "kubernetes",
    );
    assert_eq!(found, ["172.30.0.10".parse().unwrap()].into());
}

fn conditions() -> impl Strategy<Value = (Option<bool>, Option<bool>, Option<bool>)> {
    (
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        any::<Option<bool>>(),
    )
}

proptest! {
    /// However endpoints are spread over slices, the result depends on their set only, and holds no address twice.
    #[test]
    fn the_split_into_slices_does_not_matter(
        endpoints in proptest::collection::vec((1..=20u8, conditions()), 0..24), at in 0..24usize,
    ) {
        let objects: Vec<Value> = endpoints.iter().map(|(last, (ready, serving, terminating))| json!({
            "addresses": [format!("10.244.1.{last}")],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        })).collect();
        let at = at.min(objects.len());
        let whole = translated(&service(http()), &[slice(json!(objects))]);
        let mut split = vec![slice(json!(objects[..at])), slice(json!(objects[at..]))];
        split.reverse();
        prop_assert_eq!(&whole, &translated(&service(http()), &split));
        let distinct: BTreeSet<_> = whole[0].backends.iter().collect();
        prop_assert_eq!(distinct.len(), whole[0].backends.len());
        let any_ready = endpoints.iter().any(|(_, (ready, ..))| ready.unwrap_or(true));
        prop_assert!(!any_ready || !whole[0].backends.is_empty());
    }
}

use std::collections::BTreeSet;

use datapath::{Backend, WhenEmpty};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::services::endpoints::SERVICE_NAME;

mod host_ports;
mod kept;
mod outside;
mod reserved_ports;
mod sctp;
mod taken;

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

/// What [`claims`] says, without whose it is.
fn translate<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    slices: &Slices<'a>,
    pods: impl IntoIterator<Item = &'a Pod>,
    own: Own<'a>,
) -> BTreeMap<Frontend, Balanced> {
    let claims = claims(services, slices, pods, own).into_iter();
    claims
        .map(|(frontend, claim)| (frontend, claim.balanced))
        .collect()
}

const OWN: Own<'_> = Own {
    name: "worker-1",
    ip: Ipv4Addr::new(172, 30, 0, 11),
    zone: Some("north"),
    maglev: None,
    reserved: &reserved::NOTHING,
};

fn translated(service: &Service, slices: &[EndpointSlice]) -> Vec<Balanced> {
    translate([service], &Slices::of(slices), [], OWN)
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
    let mut all = translate([service], &Slices::of(slices), [], OWN);
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
fn headless_and_external_name_services_and_unknown_protocols_have_nothing_to_balance() {
    for spec in [
        json!({"clusterIP": "None", "ports": [{"port": 80}]}),
        json!({"type": "ExternalName", "externalName": "x.example"}),
        json!({"clusterIP": "10.96.0.7", "ports": [{"port": 80, "protocol": "DCCP"}]}),
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
        let balanced = translate(services, &Slices::default(), [], OWN);
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
        ("default", "kubernetes"),
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

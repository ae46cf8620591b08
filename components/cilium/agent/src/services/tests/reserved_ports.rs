//! Addresses and ports that a Service names and that are somebody else's.

use cilium_api::CiliumNode;
use datapath::Protocol::Udp;
use kube::runtime::watcher::Event;

use super::*;
use crate::kubernetes::{Readers, Watched};
use crate::services::{Sockets, processes};

const OTHER_NODE: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 12);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 1);

/// Ports of the platform, at every node.
const PLATFORM: [u16; 7] = [22, 2379, 2380, 6443, 10_250, 10_257, 10_259];

/// Of a node with this one, another, an API server behind its Service and one that the agent asks, and two processes.
fn reserved() -> Reserved {
    let listens = |address: &str, port: u16| {
        format!("0: {address}:{port:04X} 00000000:0000 0A 00000000:00000000")
    };
    let waits = "0: 00000000:CA6C 00000000:0000 07 00000000:00000000".to_owned();
    let sockets = Sockets {
        tcp: vec![listens("00000000", 9100), listens("0100007F", 9101)],
        udp: vec![waits],
    };
    let mut api = slice(json!([{"addresses": ["172.30.0.10"]}]));
    api.metadata.namespace = Some("default".to_owned());
    api.metadata.labels = Some([(SERVICE_NAME.to_owned(), "kubernetes".to_owned())].into());
    api.ports = serde_json::from_value(json!([{"name": "https", "port": 8443}])).unwrap();
    let asked = Some(("198.51.100.1".parse().unwrap(), 443));
    // A slice of somebody who would have a port of everybody's refused.
    let foreign = slice(json!([{"addresses": ["203.0.113.7"]}]));
    let nodes = [other_node()];
    let own = [OWN.ip, ROUTER];
    let processes = processes(&sockets, own);
    Reserved::of(&nodes, own, [&api, &foreign], asked, processes)
}

/// It says more of itself than is believed.
fn other_node() -> CiliumNode {
    serde_json::from_value(json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": "worker-2"},
        "spec": {
            "addresses": [
                {"type": "InternalIP", "ip": OTHER_NODE}, {"type": "CiliumInternalIP", "ip": "10.244.2.1"},
                {"type": "ExternalIP", "ip": "203.0.113.9"},
            ],
            "ipam": {"podCIDRs": ["10.244.2.0/24"]},
        },
    }))
    .unwrap()
}

fn naming(ips: &[&str], protocol: &str, port: u16) -> Service {
    service(json!({
        "clusterIP": "10.96.0.7", "externalIPs": ips,
        "ports": [{"name": "http", "port": port, "protocol": protocol}],
    }))
}

/// The named addresses at which the Service is reached all the same.
fn got(service: &Service, reserved: &Reserved) -> BTreeSet<String> {
    let own = Own { reserved, ..OWN };
    let claims = claims([service], &Slices::default(), [], own);
    let named = claims.into_values().filter(|claim| claim.owner.is_named());
    named
        .map(|claim| claim.balanced.frontend.ip.to_string())
        .collect()
}

#[test]
fn no_service_gets_a_port_of_the_platform_at_any_node() {
    let reserved = reserved();
    let own = OWN.ip.to_string();
    let nodes = [own.as_str(), "172.30.0.12", "10.244.1.1", "10.244.2.1"];
    let cilium = [4240, 4244, 9879, 9962, 9963, 10_256, 9464, 9465];
    for port in PLATFORM.into_iter().chain(cilium) {
        assert_eq!(
            got(&naming(&nodes, "TCP", port), &reserved),
            [].into(),
            "{port}"
        );
    }
    assert_eq!(got(&naming(&nodes, "UDP", 8472), &reserved), [].into());
}

#[test]
fn what_nobody_uses_at_a_node_is_published_there_as_ever() {
    let reserved = reserved();
    let nodes = [&*OWN.ip.to_string(), "172.30.0.12"];
    let all = nodes.map(str::to_owned).into();
    for (protocol, port) in [("TCP", 443), ("UDP", 6443), ("TCP", 8472), ("TCP", 9101)] {
        assert_eq!(
            got(&naming(&nodes, protocol, port), &reserved),
            all,
            "{protocol} {port}"
        );
    }
    // Nor is an address reserved that only its CiliumNode says is the node's.
    let elsewhere = ["203.0.113.9", "203.0.113.7"];
    let all = elsewhere.map(str::to_owned).into();
    assert_eq!(got(&naming(&elsewhere, "TCP", 22), &reserved), all);
}

#[test]
fn a_process_of_this_node_keeps_its_port_and_of_another_node_nothing_is_known() {
    let nodes = [&*OWN.ip.to_string(), "172.30.0.12"];
    let other = [OTHER_NODE.to_string()].into();
    assert_eq!(got(&naming(&nodes, "TCP", 9100), &reserved()), other);
    assert_eq!(got(&naming(&nodes, "UDP", 0xCA6C), &reserved()), other);
    assert_eq!(
        got(&naming(&["10.244.1.1"], "TCP", 9100), &reserved()),
        [].into()
    );
}

#[test]
fn no_service_gets_the_port_at_which_the_api_server_answers() {
    for (ip, port) in [("172.30.0.10", 8443), ("198.51.100.1", 443)] {
        assert_eq!(
            got(&naming(&[ip], "TCP", port), &reserved()),
            [].into(),
            "{ip}"
        );
        assert_eq!(
            got(&naming(&[ip], "TCP", port + 1), &reserved()).len(),
            1,
            "{ip}"
        );
        assert_eq!(
            got(&naming(&[ip], "UDP", port), &reserved()).len(),
            1,
            "{ip}"
        );
    }
}

#[test]
fn a_balancers_address_is_held_to_the_same_and_a_node_port_is_not() {
    let mut spec = load_balancer();
    spec["ports"][0]["port"] = json!(10_250);
    spec["ports"][0]["nodePort"] = json!(9100);
    let mut service = service(spec);
    service.status = serde_json::from_value(
        json!({"loadBalancer": {"ingress": [{"ip": OTHER_NODE}, {"ip": "198.51.100.9"}]}}),
    )
    .unwrap();
    let expected = ["198.51.100.9", "203.0.113.7"].map(str::to_owned);
    assert_eq!(got(&service, &reserved()), expected.into());
    let reserved = reserved();
    let own = Own {
        reserved: &reserved,
        ..OWN
    };
    let all = claims([&service], &Slices::default(), [], own);
    assert!(all.keys().any(|at| (at.ip, at.port) == (OWN.ip, 9100)));
}

#[test]
fn who_only_names_a_nodes_port_takes_neither_a_node_port_nor_a_host_port() {
    let node = OWN.ip.to_string();
    let mut older = service(json!({
        "clusterIP": "10.96.0.7", "externalIPs": [node],
        "ports": [{"name": "a", "port": 30_080}, {"name": "b", "port": 443}],
    }));
    older.metadata.creation_timestamp =
        serde_json::from_value(json!("2020-01-01T00:00:00Z")).unwrap();
    older.metadata.name = Some("older".to_owned());
    let mut spec = load_balancer();
    spec["ports"][0]["nodePort"] = json!(30_080);
    let younger = service(spec);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "ingress"},
        "spec": {"containers": [{"name": "main", "ports": [{"containerPort": 8443, "hostPort": 443}]}]},
        "status": {"phase": "Running", "podIP": "10.244.1.9"},
    }))
    .unwrap();
    let all = claims([&older, &younger], &Slices::default(), [&pod], OWN);
    let mut at_node = all
        .values()
        .filter(|claim| claim.balanced.frontend.ip == OWN.ip);
    assert!(at_node.clone().count() >= 2);
    assert!(at_node.all(|claim| !claim.owner.is_named()));
}

/// kube-dns, and one that names its ClusterIP and is older.
fn dns_and_its_rival() -> [Service; 2] {
    let at = |created: &str, name: &str, spec: Value| -> Service {
        let mut service = service(spec);
        service.metadata.name = Some(name.to_owned());
        service.metadata.creation_timestamp = serde_json::from_value(json!(created)).unwrap();
        service
    };
    let ports = json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "x", "port": 54}]);
    let dns = json!({"clusterIP": "10.96.0.10", "ports": [{"port": 53, "protocol": "UDP"}]});
    let rival = json!({"clusterIP": "10.96.0.9", "externalIPs": ["10.96.0.10"], "ports": ports});
    [
        at("2026-02-01T00:00:00Z", "dns", dns),
        at("2026-01-01T00:00:00Z", "rival", rival),
    ]
}

#[test]
fn a_cluster_ip_is_its_services_alone_whoever_is_older_at_every_port_and_from_both_sides() {
    let [dns, rival] = dns_and_its_rival();
    for services in [[&dns, &rival], [&rival, &dns]] {
        let all = claims(services, &Slices::default(), [], OWN);
        let there = all
            .values()
            .filter(|one| one.balanced.frontend.ip.octets()[3] == 10);
        let there: Vec<_> = there
            .map(|one| (one.owner.is_named(), one.balanced.frontend))
            .collect();
        let own = Frontend {
            ip: "10.96.0.10".parse().unwrap(),
            port: 53,
            protocol: Udp,
            scope: Scope::Inside,
        };
        assert_eq!(there, [(false, own)]);
    }
}

#[test]
fn a_service_that_another_program_balances_keeps_its_cluster_ip_too_and_one_may_name_its_own() {
    let [mut dns, mut rival] = dns_and_its_rival();
    let label = "service.kubernetes.io/service-proxy-name".to_owned();
    dns.metadata.labels = Some([(label, "other".to_owned())].into());
    let all = claims([&dns, &rival], &Slices::default(), [], OWN);
    assert!(
        all.keys().all(|at| at.ip.octets()[3] == 9),
        "{:?}",
        all.keys()
    );
    rival.spec.as_mut().unwrap().external_ips = Some(vec!["10.96.0.9".to_owned()]);
    assert!(!got(&rival, &reserved::NOTHING).is_empty());
}

fn put(watched: &Watched, service: &Service) {
    let object = serde_json::to_value(service).and_then(serde_json::from_value);
    watched.services.take(Ok(Event::Apply(object.unwrap())));
}

#[test]
fn what_a_service_does_not_get_is_said_once_for_all_its_ports_with_the_cure() {
    let watched = Watched::new(&Readers::default());
    let [dns, rival] = dns_and_its_rival();
    put(&watched, &dns);
    put(&watched, &rival);
    put(&watched, &naming(&["172.30.0.12"], "TCP", 10_250));
    let reserved = reserved();
    let mut kept = Kept::default();
    kept.follow(
        &watched,
        Own {
            reserved: &reserved,
            ..OWN
        },
    );
    let said: Vec<String> = kept.refused().into_iter().collect();
    let expected = [
        "Service shop/rival names 10.96.0.10:53/UDP and 1 more like it, the ClusterIP of Service shop/dns: it does not get it; give \
         it another address or port",
        "Service shop/web names 172.30.0.12:10250/TCP, a port of the platform at a node: it does not get it; give it another address \
         or port",
    ];
    assert_eq!(said, expected);
}

#[test]
fn nothing_is_said_where_the_process_that_keeps_a_port_is_the_services_own_endpoint() {
    let reserved = reserved();
    let own = Own {
        reserved: &reserved,
        ..OWN
    };
    for (end, said) in [(OWN.ip.to_string(), 0), ("10.244.1.5".to_owned(), 1)] {
        let watched = Watched::new(&Readers::default());
        put(&watched, &naming(&[&OWN.ip.to_string()], "TCP", 9100));
        let mut slice = slice(json!([{"addresses": [end], "nodeName": "worker-1"}]));
        slice.ports = serde_json::from_value(json!([{"name": "http", "port": 9100}])).unwrap();
        let slice = serde_json::to_value(slice).and_then(serde_json::from_value);
        watched.slices.take(Ok(Event::Apply(slice.unwrap())));
        let mut kept = Kept::default();
        kept.follow(&watched, own);
        assert_eq!(kept.refused().len(), said, "{end}");
        let at = |at: &&Frontend| at.ip == OWN.ip && kept.at(at).is_some();
        assert_eq!(kept.frontends().filter(at).count(), 0, "{end}");
    }
}

/// Every port of ours on the nodes' network has a row in the threat model.
#[test]
fn the_ports_of_ours_are_those_of_the_table_of_listeners() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../../docs/threat-model.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (port, protocol) = cells.get(3)?.split_once('/')?;
        let protocol = [("tcp", "TCP"), ("udp", "UDP")]
            .into_iter()
            .find(|(name, _)| *name == protocol)?;
        (cells[2] == "host").then_some((port.parse::<u16>().ok()?, protocol.1))
    });
    let rows: Vec<_> = rows.collect();
    assert!(rows.contains(&(8472, "UDP")) && rows.len() > 8, "{rows:?}");
    for (port, protocol) in rows {
        let service = naming(&["172.30.0.12"], protocol, port);
        assert_eq!(got(&service, &reserved()), [].into(), "{port}/{protocol}");
    }
}

proptest! {
    /// Whatever Services name, what is reserved is nobody's, and the rest is theirs as it was without that.
    #[test]
    fn only_what_is_reserved_is_refused(
        port in prop::sample::select(&[22_u16, 80, 6443, 8443, 9100, 10_250, 51_820][..]),
        protocol in prop::sample::select(&["TCP", "UDP"][..]),
        ips in prop::collection::vec(prop::sample::select(
            &["172.30.0.10", "172.30.0.11", "172.30.0.12", "10.244.2.1", "203.0.113.7"][..]), 0..5),
    ) {
        let service = naming(&ips, protocol, port);
        let found = got(&service, &reserved());
        for ip in got(&service, &reserved::NOTHING) {
            let of_a_node = !["172.30.0.10", "203.0.113.7"].contains(&&*ip);
            let platform = protocol == "TCP" && of_a_node && PLATFORM.contains(&port);
            let api = protocol == "TCP" && ip == "172.30.0.10" && port == 8443;
            let process = ip == "172.30.0.11" && port == if protocol == "TCP" { 9100 } else { 0xCA6C };
            prop_assert_eq!(!found.contains(&ip), platform || api || process, "{}", ip);
        }
    }
}

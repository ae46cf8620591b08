use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;

use super::*;
use crate::kubernetes::{Readers, Watched};

/// As the kernel prints them: any address, the node's, the loopback's; a connection.
const TCP: [&str; 4] = [
    "   0: 00000000:7580 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0",
    "   1: 0B001EAC:7581 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0",
    "   2: 0100007F:7582 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0",
    "   3: 0B001EAC:7583 640AF40A:C001 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 20 4 30 10 -1",
];
const ANY: &str = "00000000000000000000000000000000";
const MAPPED: &str = "0000000000000000FFFF00000B001EAC";
const OTHER: &str = "000080FE00000000FF005450B6AD1DFE";

fn line(address: &str, port: u16, state: &str) -> String {
    format!("   4: {address}:{port:04X} {ANY}:0000 {state} 00000000:00000000")
}

/// A Service with this node port, and an endpoint at this address and port.
fn kept(port: u16, protocol: &str, end: (Ipv4Addr, u16)) -> Kept {
    let watched = Watched::new(&Readers::default());
    let service = service(json!({
        "type": "NodePort", "clusterIP": "10.96.0.7",
        "ports": [{"name": "http", "port": 80, "nodePort": port, "protocol": protocol}],
    }));
    watched
        .services
        .take(Ok(Event::Apply(DeserializeGuard(Ok(service)))));
    let mut slice =
        slice(json!([{"addresses": [end.0.to_string()], "conditions": {"ready": true}}]));
    slice.ports =
        serde_json::from_value(json!([{"name": "http", "port": end.1, "protocol": protocol}]))
            .unwrap();
    watched
        .slices
        .take(Ok(Event::Apply(DeserializeGuard(Ok(slice)))));
    let mut kept = Kept::default();
    kept.follow(&watched, OWN);
    kept
}

fn said(port: u16, protocol: &str, sockets: &Sockets) -> Vec<String> {
    let kept = kept(port, protocol, (Ipv4Addr::new(10, 244, 0, 9), 8080));
    taken(&kept, sockets, OWN.ip).into_iter().collect()
}

fn tcp() -> Sockets {
    Sockets {
        tcp: TCP.map(str::to_owned).to_vec(),
        udp: Vec::new(),
    }
}

#[test]
fn a_process_that_listens_at_a_node_port_is_told_with_the_service() {
    let expected = "a process listens at TCP port 30080, which Service shop/web has at every node: what comes from outside goes to \
                    Service shop/web; give one of them another port";
    assert_eq!(said(30_080, "TCP", &tcp()), [expected]);
    assert_eq!(said(30_081, "TCP", &tcp()).len(), 1);
}

#[test]
fn a_port_at_the_loopback_of_a_connection_or_of_another_protocol_is_nobodys() {
    assert_eq!(said(30_082, "TCP", &tcp()), [""; 0]);
    assert_eq!(said(30_083, "TCP", &tcp()), [""; 0]);
    assert_eq!(said(30_080, "UDP", &tcp()), [""; 0]);
}

#[test]
fn a_socket_of_ipv6_counts_where_it_hears_the_nodes_address() {
    for (address, told) in [(ANY, 1), (MAPPED, 1), (OTHER, 0)] {
        let sockets = Sockets {
            tcp: vec![line(address, 30_080, "0A")],
            udp: vec![line(address, 30_053, "07")],
        };
        assert_eq!(said(30_080, "TCP", &sockets).len(), told, "{address}");
        assert_eq!(said(30_053, "UDP", &sockets).len(), told, "{address}");
    }
}

#[test]
fn a_process_that_is_the_services_own_endpoint_there_is_no_stranger() {
    let kept = kept(30_080, "TCP", (OWN.ip, 30_080));
    assert_eq!(taken(&kept, &tcp(), OWN.ip), BTreeSet::new());
}

#[test]
fn the_lists_of_this_machine_are_read() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let tcp: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    let first = tcp.iter().take_while(|line| listens(line)).count();
    assert!(!tcp[first..].iter().any(|line| listens(line)));
    let sockets = Sockets {
        tcp,
        udp: Vec::new(),
    };
    let at = Ipv4Addr::LOCALHOST;
    let own = Own { ip: at, ..OWN };
    let watched = Watched::new(&Readers::default());
    let service = service(json!({
        "type": "NodePort", "clusterIP": "10.96.0.7", "ports": [{"port": 80, "nodePort": port}],
    }));
    watched
        .services
        .take(Ok(Event::Apply(DeserializeGuard(Ok(service)))));
    let mut kept = Kept::default();
    kept.follow(&watched, own);
    assert_eq!(taken(&kept, &sockets, at).len(), 1);
}

proptest! {
    #[test]
    fn whatever_is_listed_is_read_without_harm(line in ".{0,80}", words in "[0-9A-F: ]{0,60}") {
        let sockets = Sockets { tcp: vec![line.clone(), words.clone()], udp: vec![words, line] };
        said(30_080, "TCP", &sockets);
    }
}

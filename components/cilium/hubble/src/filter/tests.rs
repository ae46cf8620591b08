use proptest::prelude::*;

use super::*;
use crate::{
    event::{Direction, Kind, PacketEvent},
    fixture::{ACK, CLIENT, Cluster, DNS, SYN, WEB, at, event, ipv4, tcp, udp},
    flow::{Origin, build},
    proto::flow::{
        EventTypeFilter, HttpHeader, NetworkInterface, TcpFlags, Verdict, Workload,
        flow_filter::Experimental,
    },
};

/// A trace of TCP to the web server.
fn web() -> Flow {
    marked(&at(1), "web")
}

/// A dropped question to the name server.
fn dropped() -> Flow {
    let event = PacketEvent {
        ifindex: 0,
        ..event(Kind::Drop { reason: 133 }, &udp(WEB, DNS, 5000, 53), 1)
    };
    marked(&event, "dropped")
}

/// An echo request a policy let out.
fn allowed() -> Flow {
    let packet = ipv4(1, CLIENT, WEB, &[8, 0, 0, 0]);
    let event = PacketEvent {
        direction: Direction::Egress,
        ifindex: 0,
        ..event(
            Kind::PolicyVerdict {
                verdict: 0,
                match_type: 1,
            },
            &packet,
            1,
        )
    };
    marked(&event, "allowed")
}

/// An answer of the web server.
fn answer() -> Flow {
    let event = PacketEvent {
        is_reply: Some(true),
        ifindex: 0,
        ..event(
            Kind::Trace { point: 5 },
            &tcp(WEB, CLIENT, 80, 40000, SYN | ACK),
            1,
        )
    };
    marked(&event, "answer")
}

fn marked(event: &PacketEvent, uuid: &str) -> Flow {
    let mut flow = build(event, &Cluster);
    let node_labels = vec!["zone=a".to_owned()];
    Origin {
        node: "east/worker-1".to_owned(),
        node_labels,
        version: String::new(),
    }
    .mark(&mut flow, uuid.to_owned());
    flow
}

/// The uuids of the flows above that pass.
fn passing(allow: &[FlowFilter], deny: &[FlowFilter]) -> Vec<String> {
    let filters = Filters::compile(allow, deny).unwrap();
    [web(), dropped(), allowed(), answer()]
        .into_iter()
        .filter(|flow| filters.matches(flow))
        .map(|flow| flow.uuid)
        .collect()
}

fn one(change: impl FnOnce(&mut FlowFilter)) -> FlowFilter {
    let mut filter = FlowFilter::default();
    change(&mut filter);
    filter
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

/// Checks which flows a single filter lets pass.
macro_rules! passes {
    ($($field:ident = $value:expr => $expected:expr;)*) => {$(
        let filter = one(|filter| filter.$field = $value);
        assert_eq!(passing(&[filter], &[]), $expected as &[&str], "{} = {}", stringify!($field), stringify!($value));
    )*};
}

const ALL: &[&str] = &["web", "dropped", "allowed", "answer"];
const NONE: &[&str] = &[];

#[test]
fn filters_on_the_ends_of_a_flow() {
    let workload = |name: &str, kind: &str| {
        vec![Workload {
            name: name.to_owned(),
            kind: kind.to_owned(),
        }]
    };
    passes! {
        source_ip = strings(&["10.0.1.3"]) => &["web", "allowed"];
        source_ip = strings(&["10.0.1.0/31", "::1"]) => NONE;
        source_ip = strings(&["10.0.1.2/31"]) => ALL;
        destination_ip = strings(&["10.0.2.0/24"]) => &["dropped"];
        source_pod = strings(&["shop/client"]) => &["web", "allowed"];
        source_pod = strings(&["web"]) => &["dropped", "answer"];
        source_pod = strings(&["shop/"]) => &["web", "allowed"];
        source_pod = strings(&["client"]) => NONE;
        source_pod = strings(&["/client"]) => &["web", "allowed"];
        destination_pod = strings(&["kube-system/dns-1", "shop/x"]) => &["dropped"];
        source_service = strings(&["default/web"]) => &["answer"];
        destination_service = strings(&["default/w"]) => &["web"];
        destination_service = strings(&["web"]) => &["web"];
        source_workload = workload("web", "") => &["dropped", "answer"];
        source_workload = workload("", "StatefulSet") => &["web", "allowed"];
        destination_workload = workload("dns", "Deployment") => NONE;
        source_identity = vec![2002] => &["web", "allowed"];
        destination_identity = vec![2003, 1] => &["dropped"];
        source_label = strings(&["app=web"]) => &["dropped", "answer"];
        source_label = strings(&["k8s:app in (client, db)"]) => &["web", "allowed"];
        destination_label = strings(&["app!=web"]) => &["dropped", "answer"];
        source_cluster_name = strings(&["east"]) => &["dropped", "answer"];
        destination_cluster_name = strings(&["west"]) => NONE;
    }
}

#[test]
fn filters_on_packets() {
    let flags = |syn, ack| {
        vec![TcpFlags {
            syn,
            ack,
            ..TcpFlags::default()
        }]
    };
    passes! {
        protocol = strings(&["tcp"]) => &["web", "answer"];
        protocol = strings(&["UDP", "icmp"]) => &["dropped", "allowed"];
        protocol = strings(&["icmpv6"]) => NONE;
        source_port = strings(&["80"]) => &["answer"];
        destination_port = strings(&["53", "80"]) => &["web", "dropped"];
        tcp_flags = flags(true, false) => &["web", "answer"];
        tcp_flags = flags(true, true) => &["answer"];
        ip_version = vec![1] => ALL;
        ip_version = vec![2] => NONE;
        encrypted = vec![true] => NONE;
        encrypted = vec![false] => ALL;
    }
}

#[test]
fn filters_on_what_became_of_a_packet() {
    let kind = |r#type, match_sub_type, sub_type| {
        vec![EventTypeFilter {
            r#type,
            match_sub_type,
            sub_type,
        }]
    };
    let interface = |index, name: &str| {
        vec![NetworkInterface {
            index,
            name: name.to_owned(),
        }]
    };
    passes! {
        verdict = vec![Verdict::Dropped.into()] => &["dropped"];
        drop_reason_desc = vec![133] => &["dropped"];
        drop_reason_desc = vec![0] => NONE;
        traffic_direction = vec![2] => &["dropped", "allowed"];
        reply = vec![true] => &["answer"];
        reply = vec![false] => &["web", "dropped", "allowed"];
        event_type = kind(4, false, 9) => &["web", "answer"];
        event_type = kind(4, true, 5) => &["answer"];
        event_type = kind(0, true, 133) => &["dropped"];
        interface = interface(7, "") => &["web"];
        interface = interface(0, "lxc_web") => &["web"];
        interface = interface(8, "lxc_web") => NONE;
        uuid = strings(&["allowed", "nobody"]) => &["allowed"];
        node_name = strings(&["worker-*"]) => ALL;
        node_name = strings(&["west/"]) => NONE;
        node_labels = strings(&["zone=a"]) => ALL;
        node_labels = strings(&["zone=b"]) => NONE;
    }
}

#[test]
fn all_of_a_filter_and_any_of_a_list_and_the_deny_list_wins() {
    let tcp = one(|filter| filter.protocol = strings(&["tcp"]));
    let udp = one(|filter| filter.protocol = strings(&["udp"]));
    let to_web = one(|filter| {
        filter.protocol = strings(&["tcp"]);
        filter.destination_port = strings(&["80"]);
    });
    assert_eq!(passing(&[], &[]), ALL);
    assert_eq!(passing(std::slice::from_ref(&to_web), &[]), ["web"]);
    assert_eq!(
        passing(&[tcp.clone(), udp.clone()], &[]),
        ["web", "dropped", "answer"]
    );
    assert_eq!(
        passing(&[tcp.clone(), udp], &[to_web]),
        ["dropped", "answer"]
    );
    assert_eq!(passing(&[], &[tcp]), ["dropped", "allowed"]);
    assert_eq!(passing(&[FlowFilter::default()], &[]), ALL);
}

#[test]
fn a_filter_that_cannot_be_served_is_named() {
    let some = || strings(&["x"]);
    let filters = [
        (
            "http_status_code",
            one(|filter| filter.http_status_code = some()),
        ),
        ("http_method", one(|filter| filter.http_method = some())),
        ("http_path", one(|filter| filter.http_path = some())),
        ("http_url", one(|filter| filter.http_url = some())),
        (
            "http_header",
            one(|filter| filter.http_header = vec![HttpHeader::default()]),
        ),
        ("dns_query", one(|filter| filter.dns_query = some())),
        ("source_fqdn", one(|filter| filter.source_fqdn = some())),
        (
            "destination_fqdn",
            one(|filter| filter.destination_fqdn = some()),
        ),
        ("trace_id", one(|filter| filter.trace_id = some())),
        ("ip_trace_id", one(|filter| filter.ip_trace_id = vec![1])),
        (
            "source_ip_xlated",
            one(|filter| filter.source_ip_xlated = some()),
        ),
        (
            "cel_expression",
            one(|filter| {
                filter.experimental = Some(Experimental {
                    cel_expression: some(),
                });
            }),
        ),
        (
            "protocol",
            one(|filter| filter.protocol = strings(&["dns"])),
        ),
    ];
    for (name, filter) in filters {
        let refusals = [
            Filters::compile(std::slice::from_ref(&filter), &[]),
            Filters::compile(&[], &[filter]),
        ];
        for refusal in refusals {
            let text = refusal.unwrap_err().to_string();
            assert!(
                text.contains(name) && text.contains("cannot be served"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_value_that_means_nothing_is_refused_with_what_was_expected() {
    let refusal = |change: fn(&mut FlowFilter)| {
        Filters::compile(&[one(change)], &[])
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal(|filter| filter.source_ip = vec!["10.0.0".to_owned()]),
        r#"the filter source_ip has the value "10.0.0", which is no address or CIDR"#
    );
    assert_eq!(
        refusal(|filter| filter.destination_port = vec!["http".to_owned()]),
        r#"the filter destination_port has the value "http", which is no port: write a number from 0 to 65535"#
    );
    for change in [
        (|filter| filter.destination_ip = vec!["10.0.0.0/40".to_owned()]) as fn(&mut FlowFilter),
        |filter| filter.source_pod = vec![String::new()],
        |filter| filter.source_service = vec![String::new()],
        |filter| filter.protocol = vec!["quic".to_owned()],
        |filter| filter.source_port = vec!["+1".to_owned()],
        |filter| filter.source_label = vec!["=".to_owned()],
        |filter| filter.node_name = vec!["a/b/c".to_owned()],
        |filter| filter.source_cluster_name = vec![String::new()],
    ] {
        assert!(refusal(change).contains("which is no"));
    }
}

proptest! {
    #[test]
    fn no_bytes_of_a_filter_make_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        use prost::Message;
        if let Ok(filter) = FlowFilter::decode(bytes.as_slice())
            && let Ok(filters) = Filters::compile(&[filter], &[])
        {
            let _ = filters.matches(&web());
        }
    }

    #[test]
    fn a_cidr_filter_agrees_with_arithmetic(address: u32, net: u32, length in 0u32..=32) {
        let [address, net] = [address, net].map(std::net::Ipv4Addr::from);
        let filter = one(|filter| filter.source_ip = vec![format!("{net}/{length}")]);
        let mut flow = Flow::default();
        flow.ip = Some(crate::proto::flow::Ip { source: address.to_string(), ..Default::default() });
        let differing = (u32::from(address) ^ u32::from(net)).leading_zeros();
        let filters = Filters::compile(&[filter], &[]).unwrap();
        prop_assert_eq!(filters.matches(&flow), differing >= length);
    }
}

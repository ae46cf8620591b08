use prost::Message;

use super::*;
use crate::{
    fixture::{self, ACK, CIDR_IDENTITY, CLIENT, Cluster, SYN, WEB, WORLD, event, ipv4, tcp},
    proto::flow::{DropReason, TcpFlags, Workload, layer4::Protocol},
};

fn verdict_event(verdict: i32) -> PacketEvent {
    PacketEvent {
        cookie: 9,
        is_reply: None,
        ..event(
            Kind::PolicyVerdict {
                verdict,
                match_type: 2,
            },
            &tcp(CLIENT, WEB, 40000, 80, SYN),
            5,
        )
    }
}

#[test]
fn a_trace_to_a_pod_says_who_talks_to_whom() {
    let flow = build(&fixture::at(5), &Cluster);
    assert_eq!(
        flow.time,
        Some(prost_types::Timestamp {
            seconds: 5,
            nanos: 0
        })
    );
    assert_eq!(flow.verdict(), Verdict::Forwarded);
    assert_eq!(flow.r#type(), FlowType::L3L4);
    assert_eq!(
        flow.event_type,
        Some(CiliumEventType {
            r#type: 4,
            sub_type: 0
        })
    );
    assert_eq!(
        flow.trace_observation_point(),
        TraceObservationPoint::ToEndpoint
    );
    assert_eq!(flow.traffic_direction(), TrafficDirection::Ingress);
    assert_eq!(flow.is_reply, Some(false));
    assert_eq!(
        flow.interface,
        Some(NetworkInterface {
            index: 7,
            name: "lxc_web".to_owned()
        })
    );
}

#[test]
fn a_flow_has_the_packets_headers_and_its_two_ends() {
    let flow = build(&fixture::at(5), &Cluster);
    assert_eq!(flow.ethernet.unwrap().source, "02:00:00:00:00:01");
    let ip = flow.ip.unwrap();
    assert_eq!(
        (ip.source.as_str(), ip.destination.as_str(), ip.ip_version),
        ("10.0.1.3", "10.0.1.2", 1)
    );
    let Some(Protocol::Tcp(tcp)) = flow.l4.unwrap().protocol else {
        panic!("not TCP")
    };
    assert_eq!((tcp.source_port, tcp.destination_port), (40000, 80));
    assert_eq!(
        tcp.flags,
        Some(TcpFlags {
            syn: true,
            ..TcpFlags::default()
        })
    );
    let destination = flow.destination.unwrap();
    assert_eq!((destination.id, destination.identity), (11, 2001));
    assert_eq!(
        (
            destination.namespace.as_str(),
            destination.pod_name.as_str()
        ),
        ("default", "web-1")
    );
    assert_eq!(destination.cluster_name, "east");
    assert_eq!(destination.labels[0], "k8s:app=web");
    assert_eq!(
        destination.workloads,
        [Workload {
            name: "web".to_owned(),
            kind: "Deployment".to_owned()
        }]
    );
    assert_eq!(flow.source.unwrap().id, 12);
    assert_eq!(
        flow.destination_service,
        Some(Service {
            name: "web".to_owned(),
            namespace: "default".to_owned()
        })
    );
    assert_eq!(flow.source_service, None);
}

#[test]
fn a_reply_belongs_to_the_direction_of_its_connection() {
    let reply = |packet: &[u8], reply| {
        let event = PacketEvent {
            is_reply: reply,
            ..event(Kind::Trace { point: 5 }, packet, 0)
        };
        build(&event, &Cluster).traffic_direction()
    };
    let (from, to) = (
        tcp(WEB, CLIENT, 80, 40000, ACK),
        tcp(CLIENT, WEB, 40000, 80, ACK),
    );
    assert_eq!(reply(&from, Some(true)), TrafficDirection::Ingress);
    assert_eq!(reply(&from, Some(false)), TrafficDirection::Egress);
    assert_eq!(reply(&to, Some(true)), TrafficDirection::Egress);
    assert_eq!(reply(&to, Some(false)), TrafficDirection::Ingress);
    assert_eq!(reply(&to, None), TrafficDirection::Unknown);
}

#[test]
#[expect(deprecated, reason = "older clients read drop_reason and reply")]
fn a_drop_has_its_reason_in_both_forms_and_does_not_say_whether_it_was_a_reply() {
    let flow = build(
        &event(Kind::Drop { reason: 181 }, &tcp(WEB, WORLD, 1, 2, SYN), 0),
        &Cluster,
    );
    assert_eq!(flow.verdict(), Verdict::Dropped);
    assert_eq!(flow.drop_reason, 181);
    assert_eq!(flow.drop_reason_desc(), DropReason::PolicyDeny);
    assert_eq!(
        flow.event_type,
        Some(CiliumEventType {
            r#type: 1,
            sub_type: 181
        })
    );
    assert_eq!(flow.traffic_direction(), TrafficDirection::Egress);
    assert_eq!((flow.is_reply, flow.reply), (None, false));
}

#[test]
fn a_drop_for_no_endpoint_has_no_direction() {
    let event = PacketEvent {
        endpoint_id: 0,
        ..event(Kind::Drop { reason: 133 }, &tcp(WORLD, WORLD, 1, 2, SYN), 0)
    };
    assert_eq!(
        build(&event, &Cluster).traffic_direction(),
        TrafficDirection::Unknown
    );
}

#[test]
fn a_verdict_names_the_policies_on_the_side_that_decided() {
    let allowed = build(&verdict_event(0), &Cluster);
    assert_eq!(allowed.verdict(), Verdict::Forwarded);
    assert_eq!(allowed.policy_match_type, 2);
    assert_eq!(allowed.is_reply, Some(false));
    assert_eq!(allowed.ingress_allowed_by[0].name, "policy-9");
    assert_eq!(allowed.ingress_allowed_by[0].revision, 3);
    assert!(allowed.egress_allowed_by.is_empty() && allowed.ingress_denied_by.is_empty());

    let denied = build(
        &PacketEvent {
            direction: Direction::Egress,
            ..verdict_event(-133)
        },
        &Cluster,
    );
    assert_eq!(denied.verdict(), Verdict::Dropped);
    assert_eq!(denied.drop_reason_desc(), DropReason::PolicyDenied);
    assert_eq!(denied.traffic_direction(), TrafficDirection::Egress);
    assert_eq!(denied.is_reply, None);
    assert_eq!(denied.egress_denied_by.len(), 1);
    assert!(denied.egress_allowed_by.is_empty() && denied.ingress_denied_by.is_empty());
}

#[test]
fn a_positive_verdict_is_a_redirect_and_another_refusal_is_no_policys() {
    assert_eq!(
        build(&verdict_event(10001), &Cluster).verdict(),
        Verdict::Redirected
    );
    assert!(
        build(&verdict_event(-189), &Cluster)
            .ingress_denied_by
            .is_empty()
    );
    let without = PacketEvent {
        cookie: 0,
        ..verdict_event(0)
    };
    assert!(build(&without, &Cluster).ingress_allowed_by.is_empty());
}

#[test]
fn what_the_datapath_saw_goes_before_what_is_known_now() {
    let event = PacketEvent {
        source_identity: 2003,
        ..fixture::at(0)
    };
    let source = build(&event, &Cluster).source.unwrap();
    assert_eq!(
        (source.identity, source.labels),
        (2003, vec!["k8s:app=dns".to_owned()])
    );
    assert_eq!(source.pod_name, "client-1");
}

#[test]
fn reserved_identities_have_their_labels_and_a_cidr_identity_its_narrowest_one() {
    let labels = |identity| {
        let event = PacketEvent {
            source_identity: identity,
            ..event(Kind::Trace { point: 0 }, &tcp(WORLD, WEB, 1, 80, SYN), 0)
        };
        build(&event, &Cluster).source.unwrap().labels
    };
    assert_eq!(labels(2), ["reserved:world"]);
    assert_eq!(
        labels(7),
        ["reserved:kube-apiserver", "reserved:remote-node"]
    );
    assert_eq!(labels(0), ["reserved:unknown"]);
    assert_eq!(
        labels(CIDR_IDENTITY),
        ["cidr:203.0.113.9/32", "reserved:world"]
    );
    assert_eq!(labels(4_000), Vec::<String>::new());
}

#[test]
#[expect(deprecated, reason = "the summary is what the command line prints")]
fn the_summary_is_in_ciliums_words() {
    let summary =
        |packet: &[u8]| build(&event(Kind::Trace { point: 0 }, packet, 0), &Cluster).summary;
    assert_eq!(
        summary(&tcp(CLIENT, WEB, 1, 2, SYN | ACK)),
        "TCP Flags: SYN, ACK"
    );
    assert_eq!(
        summary(&tcp(CLIENT, WEB, 1, 2, 0x19)),
        "TCP Flags: ACK, FIN, PSH"
    );
    assert_eq!(summary(&fixture::udp(CLIENT, WEB, 1, 2)), "UDP");
    assert_eq!(
        summary(&ipv4(1, CLIENT, WEB, &[8, 0, 0, 0])),
        "ICMPv4 EchoRequest"
    );
    assert_eq!(
        summary(&ipv4(1, CLIENT, WEB, &[3, 3, 0, 0])),
        "ICMPv4 DestinationUnreachable(Port)"
    );
    assert_eq!(
        summary(&ipv4(1, CLIENT, WEB, &[3, 99, 0, 0])),
        "ICMPv4 DestinationUnreachable(Code: 99)"
    );
    assert_eq!(
        summary(&ipv4(1, CLIENT, WEB, &[200, 1, 0, 0])),
        "ICMPv4 200(1)"
    );
    assert_eq!(summary(&ipv4(99, CLIENT, WEB, &[])), "IPv4");
    assert_eq!(summary(&[0; 14]), "Ethernet");
    assert_eq!(summary(&[]), "");
}

/// The bytes are worked out by hand from the field numbers of Cilium's protocol: a key is the number times eight plus the
/// wire type, which is 0 for numbers and 2 for what has a length.
#[test]
fn messages_have_ciliums_bytes() {
    let policy = FlowPolicy {
        name: "p".to_owned(),
        namespace: "n".to_owned(),
        labels: vec!["l".to_owned()],
        revision: 5,
        kind: "K".to_owned(),
    };
    assert_eq!(
        policy.encode_to_vec(),
        b"\x0a\x01p\x12\x01n\x1a\x01l\x20\x05\x2a\x01K"
    );

    let endpoint = crate::proto::flow::Endpoint {
        id: 1,
        identity: 300,
        namespace: "n".to_owned(),
        labels: vec!["l".to_owned()],
        pod_name: "p".to_owned(),
        workloads: vec![Workload {
            name: "w".to_owned(),
            kind: "k".to_owned(),
        }],
        cluster_name: "c".to_owned(),
    };
    assert_eq!(
        endpoint.encode_to_vec(),
        b"\x08\x01\x10\xac\x02\x1a\x01n\x22\x01l\x2a\x01p\x32\x06\x0a\x01w\x12\x01k\x3a\x01c"
    );

    #[expect(deprecated, reason = "its number is part of the protocol")]
    let flow = Flow {
        verdict: 2,
        uuid: "u".to_owned(),
        emitter: Some(Emitter {
            name: "H".to_owned(),
            version: String::new(),
        }),
        is_reply: Some(true),
        drop_reason_desc: 133,
        egress_allowed_by: vec![FlowPolicy::default()],
        ingress_denied_by: vec![FlowPolicy::default()],
        summary: "S".to_owned(),
        ..Flow::default()
    };
    let bytes = [
        &b"\x10\x02"[..],         // 2
        b"\xc8\x01\x85\x01",      // 25
        b"\xd2\x01\x02\x08\x01",  // 26, a BoolValue
        b"\x92\x02\x01u",         // 34
        b"\xca\x02\x03\x0a\x01H", // 41
        b"\xca\xa0\x0a\x00",      // 21001
        b"\xea\xa0\x0a\x00",      // 21005
        b"\x82\xea\x30\x01S",     // 100000
    ];
    assert_eq!(flow.encode_to_vec(), bytes.concat());
}

proptest::proptest! {
    #[test]
    fn any_bytes_make_a_flow(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), reason: u8) {
        let flow = build(&event(Kind::Drop { reason }, &bytes, 0), &Cluster);
        assert_eq!(flow.verdict(), Verdict::Dropped);
    }
}

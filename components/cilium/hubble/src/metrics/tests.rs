use super::*;
use crate::{
    event::Kind,
    fixture::{ACK, CLIENT, Cluster, DNS, SYN, WEB, WORLD, at, config, event, ipv4, tcp, udp},
    observer,
};

mod forgetting;
mod labels;
mod properties;

const FIN: u8 = 0x01;
const RST: u8 = 0x04;
const TO_WEB: Kind = Kind::Trace { point: 0 };
const REFUSED: Kind = Kind::PolicyVerdict {
    verdict: -133,
    match_type: 0,
};

fn of(entry: &str) -> Metrics {
    Metrics::new(vec![entry.parse().unwrap()])
}

fn see(metrics: &Metrics, event: &PacketEvent) {
    metrics.saw(event, &Parties::of(event, &Cluster), &Cluster);
}

/// The series of a metric after these events, as `name=value,… count`.
fn counted(entry: &str, events: &[PacketEvent]) -> Vec<String> {
    let metrics = of(entry);
    for event in events {
        see(&metrics, event);
    }
    let family = metrics.families().remove(0);
    let lines = family.series.into_iter().map(|(values, count)| {
        let labels: Vec<String> = family
            .labels
            .iter()
            .zip(&values)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{} {count}", labels.join(","))
    });
    lines.collect()
}

/// From the web server to the world.
fn outward(kind: Kind, flags: u8) -> PacketEvent {
    PacketEvent {
        destination_identity: 2,
        ..event(kind, &tcp(WEB, WORLD, 40000, 443, flags), 1)
    }
}

fn answered(event: PacketEvent) -> PacketEvent {
    PacketEvent {
        is_reply: Some(true),
        ..event
    }
}

#[test]
fn a_packet_that_policy_refused_is_one_drop_although_it_is_told_of_twice() {
    let packet = tcp(CLIENT, WEB, 40000, 22, SYN);
    let events = [
        REFUSED,
        Kind::Drop { reason: 133 },
        Kind::Drop { reason: 9 },
        TO_WEB,
    ]
    .map(|kind| event(kind, &packet, 1));
    assert_eq!(
        counted("drop", &events),
        [
            "reason=9,protocol=TCP 1",
            "reason=POLICY_DENIED,protocol=TCP 1"
        ]
    );
}

#[test]
fn every_flow_is_counted_by_what_it_is() {
    let packet = udp(CLIENT, DNS, 40000, 53);
    let kinds = [
        Kind::Trace { point: 4 },
        Kind::PolicyVerdict {
            verdict: 0,
            match_type: 2,
        },
        REFUSED,
        Kind::Drop { reason: 133 },
    ];
    assert_eq!(
        counted("flow", &kinds.map(|kind| event(kind, &packet, 1))),
        [
            "protocol=UDP,type=Drop,subtype=,verdict=DROPPED 1",
            "protocol=UDP,type=PolicyVerdict,subtype=,verdict=DROPPED 1",
            "protocol=UDP,type=PolicyVerdict,subtype=,verdict=FORWARDED 1",
            "protocol=UDP,type=Trace,subtype=to-overlay,verdict=FORWARDED 1",
        ]
    );
}

#[test]
fn requests_between_workloads_are_counted_once_and_answers_are_not() {
    let entry =
        "flow:requests-only;workloads-only;labelsContext=source_workload,destination_workload";
    let events = [
        at(1),
        at(2),
        answered(at(3)),
        event(Kind::Trace { point: 3 }, &tcp(CLIENT, WEB, 1, 80, SYN), 4),
        event(REFUSED, &tcp(CLIENT, WEB, 1, 80, SYN), 5),
        event(Kind::Drop { reason: 133 }, &tcp(CLIENT, WEB, 1, 80, SYN), 6),
        event(TO_WEB, &tcp(WORLD, WEB, 1, 80, SYN), 7),
    ];
    assert_eq!(
        counted(entry, &events),
        [
            "protocol=TCP,type=Drop,subtype=,verdict=DROPPED,source_workload=client,destination_workload=web 1",
            "protocol=TCP,type=Trace,subtype=to-endpoint,verdict=FORWARDED,source_workload=client,destination_workload=web 2",
        ]
    );
    assert_eq!(counted("flow:requests-only", &events).len(), 2);
    assert_eq!(counted("flow:workloads-only", &[events[6]]), [""; 0]);
}

#[test]
fn the_world_is_what_is_outside_and_an_answer_to_it_is_not_counted() {
    let by_policy = Kind::Drop { reason: 133 };
    let otherwise = Kind::Drop { reason: 140 };
    let stack = Kind::Trace { point: 3 };
    let events = [
        outward(stack, SYN),
        outward(stack, ACK),
        answered(outward(stack, ACK)),
        outward(by_policy, SYN),
        outward(otherwise, SYN),
        outward(REFUSED, SYN),
        at(1),
    ];
    assert_eq!(
        counted("flows-to-world", &events),
        [
            "protocol=TCP,verdict=DROPPED 1",
            "protocol=TCP,verdict=FORWARDED 2"
        ]
    );
    assert_eq!(
        counted("flows-to-world:any-drop;syn-only;port", &events),
        [
            "protocol=TCP,verdict=DROPPED,port=443 2",
            "protocol=TCP,verdict=FORWARDED,port=443 1",
        ]
    );
}

#[test]
fn a_rule_that_denies_drops_for_policy_as_much_as_none_that_allows() {
    for reason in [133, 181] {
        let dropped = outward(Kind::Drop { reason }, SYN);
        assert_eq!(
            counted("flows-to-world", &[dropped]),
            ["protocol=TCP,verdict=DROPPED 1"],
            "{reason}"
        );
    }
}

#[test]
fn ports_are_those_that_clients_ask() {
    let ping = ipv4(1, CLIENT, WEB, &[8, 0, 0, 0]);
    let events = [
        at(1),
        answered(event(TO_WEB, &tcp(WEB, CLIENT, 80, 40000, ACK), 2)),
        event(TO_WEB, &udp(CLIENT, WEB, 40000, 53), 3),
        event(TO_WEB, &ping, 4),
        event(Kind::Drop { reason: 133 }, &udp(CLIENT, WEB, 1, 54), 5),
        event(REFUSED, &udp(CLIENT, WEB, 1, 55), 6),
    ];
    assert_eq!(
        counted("port-distribution", &events),
        [
            "protocol=ICMPv4,port=0 1",
            "protocol=TCP,port=80 1",
            "protocol=UDP,port=53 1"
        ]
    );
    let unknown = PacketEvent {
        is_reply: None,
        ..at(1)
    };
    assert_eq!(counted("port-distribution", &[unknown]), [""; 0]);
}

#[test]
fn each_flag_of_a_packet_that_passed_is_counted() {
    let with = |kind, flags| event(kind, &tcp(CLIENT, WEB, 40000, 80, flags), 1);
    let events = [
        with(TO_WEB, SYN),
        with(TO_WEB, SYN),
        with(TO_WEB, SYN | ACK),
        with(TO_WEB, FIN | RST | ACK),
        with(TO_WEB, ACK),
        with(Kind::Drop { reason: 133 }, SYN),
        event(TO_WEB, &udp(CLIENT, WEB, 1, 53), 1),
    ];
    assert_eq!(
        counted("tcp", &events),
        [
            "flag=FIN,family=IPv4 1",
            "flag=RST,family=IPv4 1",
            "flag=SYN,family=IPv4 2",
            "flag=SYN-ACK,family=IPv4 1",
        ]
    );
}

#[test]
fn icmp_is_counted_by_its_type_in_words() {
    let message = |kind| event(TO_WEB, &ipv4(1, CLIENT, WEB, &[kind, 0, 0, 0]), 1);
    let events = [message(8), message(8), message(0), at(1)];
    assert_eq!(
        counted("icmp", &events),
        [
            "family=IPv4,type=EchoReply 1",
            "family=IPv4,type=EchoRequest 2"
        ]
    );
}

#[test]
fn what_has_no_room_is_counted_as_uncounted() {
    let metrics = of("port-distribution");
    let beyond = 5;
    for port in 1..=u16::try_from(SERIES).unwrap() + beyond {
        see(&metrics, &event(TO_WEB, &tcp(CLIENT, WEB, 1, port, SYN), 1));
    }
    see(&metrics, &event(TO_WEB, &tcp(CLIENT, WEB, 1, 1, SYN), 1));
    let family = metrics.families().remove(0);
    assert_eq!(family.series.len(), SERIES);
    assert_eq!(family.uncounted, u64::from(beyond));
    let counted: u64 = family.series.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, SERIES as u64 + 1);
}

#[test]
fn what_a_writer_records_is_counted() {
    let settings = observer::Config {
        metrics: vec!["drop".parse().unwrap(), "tcp".parse().unwrap()],
        ..config(3)
    };
    let (observer, mut writer) = observer::new(settings, std::sync::Arc::new(Cluster));
    writer.packet(at(1));
    let families = observer.metrics().families();
    let sizes: Vec<_> = families
        .iter()
        .map(|family| (family.name, family.series.len()))
        .collect();
    assert_eq!(sizes, [("drop", 0), ("tcp_flags", 1)]);
}

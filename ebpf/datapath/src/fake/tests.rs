use std::time::Duration;

use super::*;
use crate::{Direction, EventKind, MAX_POLICY_ENTRIES, Protocol, Scope, Verdict, WhenEmpty};

#[test]
fn a_range_stays_with_its_first_owner() {
    let datapath = Fake::new();
    let node = |ip: &str| Node {
        ip: ip.parse().unwrap(),
        pod_cidrs: vec!["10.244.1.0/24".parse().unwrap()],
    };
    datapath.upsert_node(&node("172.30.0.11")).unwrap();
    let error = datapath.upsert_node(&node("172.30.0.12")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "node 172.30.0.12 claims 10.244.1.0/24, which belongs to node 172.30.0.11; the claim is ignored"
    );
    assert_eq!(datapath.nodes().unwrap(), [node("172.30.0.11")]);
}

#[test]
fn a_service_keeps_its_number_until_it_changes() {
    let datapath = Fake::new();
    let service = |port, affinity_seconds| Service {
        frontend: Frontend {
            ip: Ipv4Addr::new(10, 96, 0, 1),
            port,
            protocol: Protocol::Tcp,
            scope: Scope::Inside,
        },
        backends: Vec::new(),
        affinity_seconds,
        when_empty: WhenEmpty::Refuse,
        exclusive: true,
        source_ranges: Vec::new(),
        maglev: None,
    };
    let numbers = |services: &[Service]| -> Vec<u32> {
        for service in services {
            datapath.upsert_service(service).unwrap();
        }
        let all = datapath.numbered_services().unwrap();
        all.into_iter().map(|(number, _)| number).collect()
    };
    let before = numbers(&[service(80, None), service(81, None)]);
    assert_ne!(before[0], before[1]);
    assert_eq!(numbers(&[service(80, None)]), before);
    let after = numbers(&[service(80, Some(9))]);
    assert!(!before.contains(&after[0]), "{before:?} {after:?}");
    assert_eq!(after[1], before[1]);
}

fn entry(identity: u32) -> (PolicyKey, PolicyEntry) {
    let key = PolicyKey {
        identity,
        direction: Direction::Ingress,
        protocol: 6,
        port: 80,
        port_bits: 16,
    };
    let entry = PolicyEntry {
        verdict: Verdict::Allow,
        cookie: 1,
    };
    (key, entry)
}

#[test]
fn a_policy_that_would_not_fit_or_not_make_sense_leaves_the_old_one() {
    let datapath = Fake::new();
    let old = BTreeMap::from([entry(1)]);
    datapath.set_policy(7, &old).unwrap();
    let many: Vec<_> = (2..).take(MAX_POLICY_ENTRIES).map(entry).collect();
    let error = datapath.update_policy(7, &many, &[]).unwrap_err();
    assert!(matches!(error, Error::PolicyFull { .. }), "{error}");
    for (protocol, port_bits) in [(0, 16), (6, 8), (6, 17)] {
        let (key, value) = entry(2);
        let key = PolicyKey {
            protocol,
            port_bits,
            ..key
        };
        let error = datapath.update_policy(7, &[(key, value)], &[]).unwrap_err();
        assert!(matches!(error, Error::PolicyKey { .. }), "{error}");
    }
    assert_eq!(datapath.policy(7).unwrap(), Some(old));
    assert!(datapath.set_policy(0, &BTreeMap::new()).is_err());
}

#[test]
fn events_have_one_reader_and_go_nowhere_without_one() {
    let datapath = Fake::new();
    let event = Event {
        kind: EventKind::Drop { reason: 133 },
        time: Duration::ZERO,
        direction: Direction::Egress,
        endpoint: 1,
        source_identity: 2,
        destination_identity: 3,
        cookie: 0,
        match_type: 0,
        is_reply: false,
        is_new: true,
        ifindex: 4,
        length: 60,
        packet: vec![0; 60],
    };
    datapath.push_event(event.clone());
    let mut reader = datapath.events().unwrap();
    assert!(datapath.events().is_err());
    assert_eq!(reader.next(Duration::ZERO).unwrap(), []);
    datapath.push_event(event.clone());
    assert_eq!(reader.next(Duration::from_secs(9)).unwrap(), [event]);
    drop(reader);
    assert!(datapath.events().is_ok());
}

use std::time::Duration;

use super::*;
use crate::{Direction, EventKind, MAX_POLICY_ENTRIES, Verdict};

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

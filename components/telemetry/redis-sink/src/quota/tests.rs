use super::*;
use crate::fixture::quota;

fn key(name: &str) -> StreamKey {
    StreamKey::new(&[("a", "west"), ("b", name)]).unwrap()
}

fn entry(cluster: &str, name: &str, retention: Retention, admitted: Admitted) -> Entry {
    Entry {
        cluster: cluster.to_owned(),
        key: key(name),
        retention,
        id: String::new(),
        text: String::new(),
        admitted,
    }
}

/// Sends a record of `length` bytes and has it stored; whether it was admitted.
fn sends(quota: &mut Quota, cluster: &str, name: &str, length: usize) -> bool {
    let retention = Retention::of("analyzer");
    let Ok(admitted) = quota.admit(cluster, &key(name), &retention, length, 1) else {
        return false;
    };
    quota.settle(&entry(cluster, name, retention, admitted), true);
    true
}

fn admits(quota: &mut Quota, name: &str, source: &str, now: u64) -> bool {
    quota.forget(now);
    let admitted = quota.admit("west", &key(name), &Retention::of(source), 9, now);
    admitted.is_ok()
}

fn of_bytes(bytes: u64) -> Quota {
    Quota::new(Limits {
        streams: 1_000_000,
        bytes,
    })
}

fn bytes(quota: &Quota, cluster: &str) -> u64 {
    let mut all = quota.bytes();
    all.find(|(name, _)| *name == cluster)
        .map_or(0, |(_, bytes)| bytes)
}

#[test]
fn a_full_quota_still_admits_the_streams_it_knows() {
    let mut quota = quota(1);
    assert!(admits(&mut quota, "a", "", 0));
    assert!(!admits(&mut quota, "b", "", 1));
    assert!(admits(&mut quota, "a", "", 2));
}

#[test]
fn a_stream_makes_room_once_redis_keeps_it_no_longer() {
    for (source, kept) in [("ui", 1800), ("analyzer", 21_600)] {
        let mut quota = quota(1);
        assert!(admits(&mut quota, "a", source, 0));
        assert!(!admits(&mut quota, "b", "ui", kept - 1), "{source}");
        assert!(admits(&mut quota, "b", "ui", kept), "{source}");
        assert_eq!(quota.streams(), 1);
    }
}

#[test]
fn a_flood_of_clusters_ends_somewhere() {
    let mut quota = quota(5);
    let admitted = (0..5000)
        .filter(|n| sends(&mut quota, &n.to_string(), "a", 9))
        .count();
    assert_eq!(admitted, MOST_CLUSTERS);
}

#[test]
fn a_cluster_that_fills_its_bytes_takes_none_of_anothers_and_keeps_its_streams_up_to_date() {
    let mut quota = of_bytes(1 << 20);
    let admitted = (0..1000)
        .filter(|n| sends(&mut quota, "west", &n.to_string(), 100_000))
        .count();
    assert_eq!(admitted, 8);
    assert!(bytes(&quota, "west") <= 1 << 20);
    assert!(sends(&mut quota, "east", "a", 100_000));
    // The second entry of a stream has no room any more; one that takes the place of another needs none.
    let mut full = of_bytes(1 << 20);
    assert!((0..9).all(|_| sends(&mut full, "west", "a", 300_000)));
    assert!(sends(&mut full, "west", "b", 300_000));
    assert!(!sends(&mut full, "west", "b", 300_000));
    assert!(sends(&mut full, "west", "a", 300_000));
}

#[test]
fn what_is_on_its_way_counts_and_what_did_not_come_no_longer() {
    let mut quota = of_bytes(1 << 20);
    let retention = Retention::of("analyzer");
    let mut request = |n: u32| {
        let name = n.to_string();
        let admitted = quota.admit("west", &key(&name), &retention, 100_000, 1);
        Some(entry("west", &name, retention, admitted.ok()?))
    };
    let underway: Vec<Entry> = (0..1000).filter_map(&mut request).collect();
    assert_eq!(underway.len(), 8);
    for entry in &underway {
        quota.settle(entry, false);
    }
    assert!(bytes(&quota, "west") < 100_000);
    assert!((0..8).all(|n| sends(&mut quota, "west", &n.to_string(), 100_000)));
}

#[test]
fn nothing_is_left_of_a_cluster_once_redis_keeps_nothing_of_it() {
    let mut quota = of_bytes(1 << 20);
    assert!(sends(&mut quota, "west", "a", 1000));
    assert!(bytes(&quota, "west") > 1000);
    let with_one = bytes(&quota, "west");
    let lines = Retention::of("ui");
    let admitted = quota.admit("west", &key("b"), &lines, 1000, 1);
    assert!(admitted.is_ok() && bytes(&quota, "west") > with_one);
    // A line is gone after half an hour, a report after six.
    assert!(quota.forget(1801).is_empty());
    assert_eq!(bytes(&quota, "west"), with_one);
    assert!(quota.forget(21_600).is_empty());
    assert_eq!(quota.forget(21_601), ["west"]);
    assert_eq!(bytes(&quota, "west"), 0);
}

#[test]
fn of_one_cluster_half_a_million_records_are_remembered_and_more_once_those_are_forgotten() {
    let mut quota = of_bytes(1 << 20);
    let lines = Retention::of("ui");
    let mut remembered = |cluster: &str, records: u32, now: u64| {
        let admitted = (0..records).map(|_| {
            let admitted = quota.admit(cluster, &key("a"), &lines, 0, now).unwrap();
            quota.settle(&entry(cluster, "a", lines, admitted), false);
            admitted.remember
        });
        admitted.filter(|remember| *remember).count()
    };
    assert_eq!(remembered("west", 500_010, 1), 500_000);
    assert_eq!(remembered("east", 10, 1), 10);
    assert_eq!(remembered("west", 10, 900), 0);
    assert_eq!(remembered("west", 10, 901), 10);
}

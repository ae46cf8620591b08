use std::collections::HashSet;

use futures::FutureExt;

use super::{
    request::{Item, Range, RangeError, Reader, Wanted},
    *,
};
use crate::{
    event::{Kind, LostAt},
    filter::Filters,
    fixture::{self, Cluster, at, config, event},
    proto::{
        flow::{FlowFilter, LostEventSource, TcpFlags},
        observer::GetFlowsRequest,
    },
};

fn observer(capacity: usize, seconds: std::ops::Range<i64>) -> (Arc<Observer>, Writer) {
    let (observer, mut writer) = new(config(capacity), Arc::new(Cluster));
    for second in seconds {
        writer.packet(at(second));
    }
    (observer, writer)
}

fn reader(observer: &Arc<Observer>, range: Range, allow: &[FlowFilter]) -> Reader {
    let filters = Filters::compile(allow, &[]).unwrap();
    Reader::new(Arc::clone(observer), Wanted::Flows(filters), range)
}

/// The seconds of what can be read without waiting; losses are their negated count.
fn read(reader: &mut Reader) -> Vec<i64> {
    let mut seen = Vec::new();
    while let Some(Some(item)) = reader.next(|| 0).now_or_never() {
        seen.push(match item {
            Item::Entry(entry) => entry.time() / 1_000_000_000,
            Item::Lost { event, .. } => -i64::try_from(event.num_events_lost).unwrap(),
        });
    }
    seen
}

fn all(observer: &Arc<Observer>, range: Range) -> Vec<i64> {
    read(&mut reader(observer, range, &[]))
}

fn seconds(second: i64) -> i64 {
    second * 1_000_000_000
}

#[test]
fn without_a_range_everything_is_read_oldest_first() {
    let (observer, _writer) = observer(7, 1..6);
    assert_eq!(all(&observer, Range::default()), [1, 2, 3, 4, 5]);
}

#[test]
fn last_and_first_count_from_their_ends() {
    let (observer, _writer) = observer(7, 1..10);
    assert_eq!(
        all(
            &observer,
            Range {
                number: 2,
                ..Range::default()
            }
        ),
        [8, 9]
    );
    assert_eq!(
        all(
            &observer,
            Range {
                number: 2,
                first: true,
                ..Range::default()
            }
        ),
        [3, 4]
    );
    assert_eq!(
        all(
            &observer,
            Range {
                number: 99,
                ..Range::default()
            }
        ),
        [3, 4, 5, 6, 7, 8, 9]
    );
}

#[test]
fn since_and_until_bound_the_time_and_include_their_moment() {
    let (observer, _writer) = observer(15, 1..10);
    assert_eq!(
        all(
            &observer,
            Range {
                since: Some(seconds(4)),
                until: Some(seconds(6)),
                ..Range::default()
            }
        ),
        [4, 5, 6]
    );
    assert_eq!(
        all(
            &observer,
            Range {
                until: Some(seconds(2)),
                ..Range::default()
            }
        ),
        [1, 2]
    );
    assert_eq!(
        all(
            &observer,
            Range {
                since: Some(seconds(99)),
                ..Range::default()
            }
        ),
        Vec::<i64>::new()
    );
    assert_eq!(
        all(
            &observer,
            Range {
                since: Some(seconds(4)),
                number: 2,
                ..Range::default()
            }
        ),
        [4, 5]
    );
}

#[test]
fn following_starts_now_or_with_the_last_ones_and_goes_on() {
    let (observer, mut writer) = observer(7, 1..4);
    let mut from_now = reader(
        &observer,
        Range {
            follow: true,
            ..Range::default()
        },
        &[],
    );
    let mut from_last = reader(
        &observer,
        Range {
            follow: true,
            number: 1,
            ..Range::default()
        },
        &[],
    );
    let mut from_since = reader(
        &observer,
        Range {
            follow: true,
            since: Some(seconds(2)),
            ..Range::default()
        },
        &[],
    );
    assert_eq!(read(&mut from_now), Vec::<i64>::new());
    assert_eq!(read(&mut from_last), [3]);
    writer.packet(at(4));
    assert_eq!(read(&mut from_now), [4]);
    assert_eq!(read(&mut from_last), [4]);
    assert_eq!(read(&mut from_since), [2, 3, 4]);
}

#[tokio::test]
async fn a_follower_that_waits_is_woken() {
    let (observer, mut writer) = observer(7, 0..0);
    let mut follower = reader(
        &observer,
        Range {
            follow: true,
            ..Range::default()
        },
        &[],
    );
    let waiting = tokio::spawn(async move { follower.next(|| 0).await.is_some() });
    tokio::task::yield_now().await;
    writer.packet(at(1));
    assert!(waiting.await.unwrap());
}

#[test]
fn the_last_ones_are_the_last_that_match() {
    let (observer, mut writer) = observer(15, 1..4);
    let dropped = event(
        Kind::Drop { reason: 133 },
        &fixture::udp(fixture::WEB, fixture::DNS, 5, 53),
        9,
    );
    writer.packet(dropped);
    let filter = FlowFilter {
        tcp_flags: vec![TcpFlags {
            syn: true,
            ..TcpFlags::default()
        }],
        ..FlowFilter::default()
    };
    let mut reader = reader(
        &observer,
        Range {
            number: 2,
            ..Range::default()
        },
        &[filter],
    );
    assert_eq!(read(&mut reader), [2, 3]);
}

#[test]
fn a_follower_the_ring_went_over_is_told_how_much_it_lost() {
    let (observer, mut writer) = observer(3, 1..3);
    let mut follower = reader(
        &observer,
        Range {
            follow: true,
            ..Range::default()
        },
        &[],
    );
    for second in 3..13 {
        writer.packet(at(second));
    }
    assert_eq!(read(&mut follower), [-7, 10, 11, 12]);
    assert_eq!(observer.ring_losses(), 7);
}

#[test]
fn losses_before_the_ring_are_told_whatever_the_filters() {
    let (observer, mut writer) = observer(7, 1..2);
    writer.lost(Lost {
        time: 2,
        count: 40,
        cpu: Some(1),
        place: LostAt::KernelBuffer,
    });
    let none = FlowFilter {
        uuid: vec!["nobody".to_owned()],
        ..FlowFilter::default()
    };
    let mut reader = reader(&observer, Range::default(), &[none]);
    let Some(Some(Item::Lost { event, .. })) = reader.next(|| 0).now_or_never() else {
        panic!("no loss was told")
    };
    assert_eq!(
        (event.source(), event.num_events_lost, event.cpu),
        (LostEventSource::PerfEventRingBuffer, 40, Some(1))
    );
    assert_eq!(read(&mut reader), Vec::<i64>::new());
}

#[test]
fn a_range_that_contradicts_itself_is_refused() {
    let range = |request: GetFlowsRequest| Range::of_flows(&request).unwrap_err();
    let both = GetFlowsRequest {
        first: true,
        follow: true,
        ..GetFlowsRequest::default()
    };
    assert_eq!(range(both), RangeError::FirstAndFollow);
    let time = Some(prost_types::Timestamp {
        seconds: 0,
        nanos: -1,
    });
    assert_eq!(
        range(GetFlowsRequest {
            until: time,
            ..GetFlowsRequest::default()
        }),
        RangeError::Time { field: "until" }
    );
}

#[test]
fn each_flow_has_a_uuid_of_its_own_that_stays() {
    let (observer, _writer) = observer(7, 0..7);
    let uuid = |number| match observer.ring().read(number) {
        Read::Event(entry) => entry.flow(&observer).unwrap().uuid.clone(),
        other => panic!("{other:?}"),
    };
    let uuids: HashSet<String> = (0..7).map(uuid).collect();
    assert_eq!(uuids.len(), 7);
    assert!((0..7).all(|number| uuids.contains(&uuid(number))));
    let parts: Vec<usize> = uuid(0).split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert_eq!(&uuid(0)[14..15], "8");
}

#[test]
fn a_flow_says_where_it_was_seen_and_by_what() {
    let (observer, _writer) = observer(7, 0..1);
    let Read::Event(entry) = observer.ring().read(0) else {
        panic!("no event")
    };
    let flow = entry.flow(&observer).unwrap();
    assert_eq!(flow.node_name, "east/worker-1");
    assert_eq!(flow.node_labels, ["zone=a"]);
    assert_eq!(flow.emitter.as_ref().unwrap().name, "Hubble");
    assert_eq!(flow.emitter.as_ref().unwrap().version, "1.20.2");
}

#[test]
fn namespaces_are_those_of_the_last_hour() {
    let (observer, _writer) = observer(7, 1..2);
    let names = |now: i64| {
        observer
            .namespaces(now * 1_000_000_000)
            .into_iter()
            .map(|seen| (seen.cluster, seen.name))
            .collect::<Vec<_>>()
    };
    let east = |name: &str| ("east".to_owned(), name.to_owned());
    assert_eq!(names(3600), [east("default"), east("shop")]);
    assert_eq!(names(3602), []);
}

#[test]
fn the_rate_is_that_of_the_last_minute_or_of_what_the_ring_holds() {
    let rate = |capacity, now: i64| {
        let (observer, _writer) = observer(capacity, 0..120);
        observer.flow_rate(now * 1_000_000_000)
    };
    assert!((rate(255, 119) - 61.0 / 60.0).abs() < 1e-9);
    assert!((rate(15, 120) - 15.0 / 15.0).abs() < 1e-9);
    assert!(rate(255, 10_000) < 1e-9);
}

#[test]
fn what_was_lost_is_counted_by_where() {
    let (observer, mut writer) = observer(3, 1..2);
    for (count, place) in [(5, LostAt::KernelBuffer), (2, LostAt::Queue)] {
        let (time, cpu) = (seconds(2), None);
        writer.lost(Lost {
            time,
            count,
            cpu,
            place,
        });
    }
    let losses = observer.losses().map(|(_, count)| count);
    assert_eq!(losses, [5, 2, 0]);
}

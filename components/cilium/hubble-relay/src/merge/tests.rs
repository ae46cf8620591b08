use proptest::prelude::*;

use super::*;

const WAIT: Duration = Duration::from_secs(1);
const PAST: i64 = i64::MAX;
const PRESENT: i64 = i64::MIN;

fn source(node: &str) -> Source {
    Source {
        node: node.into(),
        number: 0,
    }
}

fn merge<T>(capacity: usize, present: i64, nodes: &[&str], now: Instant) -> Merge<T> {
    let sorting = Sorting {
        capacity,
        wait: WAIT,
    };
    let mut merge = Merge::new(sorting, present);
    for node in nodes {
        merge.open(source(node), now);
    }
    merge
}

fn drain<T>(merge: &mut Merge<T>, now: Instant) -> Vec<T> {
    std::iter::from_fn(|| merge.pop(now).map(|(_, value)| value)).collect()
}

#[test]
fn nothing_leaves_before_every_node_has_shown_its_next() {
    let now = Instant::now();
    let mut merge = merge(100, PAST, &["a", "b"], now);
    merge.push(&source("a"), Some(2), "a2", now);
    assert_eq!(merge.pop(now), None);
    merge.push(&source("b"), Some(1), "b1", now);
    assert_eq!(drain(&mut merge, now), ["b1"]);
    merge.close(&source("b"));
    assert_eq!(drain(&mut merge, now), ["a2"]);
}

#[test]
fn a_silent_node_is_waited_for_once_while_the_others_hand_over_the_past() {
    let now = Instant::now();
    let mut merge = merge(2, PAST, &["a", "b"], now);
    merge.push(&source("a"), Some(1), 1, now);
    merge.push(&source("a"), Some(2), 2, now);
    assert!(!merge.has_room(&source("a")), "it is full");
    assert!(merge.has_room(&source("b")), "it is waited for");
    assert_eq!(drain(&mut merge, now), [0; 0], "even though it is full");
    assert_eq!(merge.due(), Some(now + WAIT));
    assert_eq!(drain(&mut merge, now + WAIT), [1, 2]);
    merge.push(&source("a"), Some(3), 3, now + WAIT);
    assert_eq!(
        drain(&mut merge, now + WAIT),
        [3],
        "b is not waited for again"
    );
}

#[test]
fn an_item_of_the_present_waits_for_a_silent_node_and_no_longer() {
    let now = Instant::now();
    let later = now + 10 * WAIT;
    let mut merge = merge(100, PRESENT, &["a", "b"], now);
    merge.push(&source("a"), Some(1), 1, later);
    assert_eq!(drain(&mut merge, later), [0; 0]);
    assert_eq!(merge.due(), Some(later + WAIT));
    assert_eq!(drain(&mut merge, later + WAIT), [1]);
}

#[test]
fn items_of_the_present_leave_a_full_buffer_at_once() {
    let now = Instant::now();
    let mut merge = merge(2, PRESENT, &["a", "b"], now);
    merge.push(&source("a"), Some(1), 1, now);
    assert_eq!(drain(&mut merge, now), [0; 0]);
    merge.push(&source("a"), Some(2), 2, now);
    assert_eq!(drain(&mut merge, now), [1], "one leaves, and there is room");
}

#[test]
fn items_of_one_time_leave_in_the_order_of_their_nodes() {
    let now = Instant::now();
    let mut merge = merge(100, PAST, &["b", "a"], now);
    merge.push(&source("b"), Some(1), "b", now);
    merge.push(&source("a"), Some(1), "a", now);
    merge.close(&source("a"));
    merge.close(&source("b"));
    assert_eq!(drain(&mut merge, now), ["a", "b"]);
    assert!(merge.is_over());
}

#[test]
fn an_item_without_a_time_stays_behind_the_one_before_it() {
    let now = Instant::now();
    let mut merge = merge(100, PAST, &["a", "b"], now);
    merge.push(&source("a"), Some(5), "a5", now);
    merge.push(&source("a"), None, "a-lost", now);
    merge.push(&source("b"), Some(6), "b6", now);
    merge.close(&source("a"));
    merge.close(&source("b"));
    assert_eq!(drain(&mut merge, now), ["a5", "a-lost", "b6"]);
}

/// Sorted streams, and how their arrivals interleave.
fn streams() -> impl Strategy<Value = (Vec<Vec<i64>>, Vec<usize>)> {
    let stream = proptest::collection::vec(0i64..50, 0..20).prop_map(|mut times| {
        times.sort_unstable();
        times
    });
    (
        proptest::collection::vec(stream, 1..5),
        proptest::collection::vec(0usize..5, 0..100),
    )
}

/// Hands the streams over in the order of `turns`, then the rest, and returns what left.
fn run(
    streams: &[Vec<i64>],
    turns: &[usize],
    capacity: usize,
    present: i64,
    tick: Duration,
) -> Vec<(i64, usize, usize)> {
    let names: Vec<String> = (0..streams.len()).map(|node| format!("n{node}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut now = Instant::now();
    let mut merge = merge(capacity, present, &names, now);
    let mut at = vec![0; streams.len()];
    let mut left = Vec::new();
    let rest = (0..streams.len()).flat_map(|node| std::iter::repeat_n(node, 21));
    let turns: Vec<usize> = turns.iter().copied().chain(rest).collect();
    // What has no room is read again later, so the turns are gone through until all was read.
    for _ in 0..200 {
        for &node in &turns {
            let Some(stream) = streams.get(node) else {
                continue;
            };
            let source = source(names[node]);
            if let Some(&time) = stream.get(at[node]) {
                if merge.has_room(&source) {
                    merge.push(&source, Some(time), (time, node, at[node]), now);
                    at[node] += 1;
                }
            } else {
                merge.close(&source);
            }
            now += tick;
            left.extend(drain(&mut merge, now));
        }
    }
    left
}

proptest! {
    #[test]
    fn streams_that_end_are_merged_into_one_sorted_permutation(
        (streams, turns) in streams(), capacity in 1usize..6,
    ) {
        let left = run(&streams, &turns, capacity, PAST, Duration::ZERO);
        let mut expected: Vec<_> = streams.iter().enumerate()
            .flat_map(|(node, times)| times.iter().enumerate().map(move |(at, &time)| (time, node, at)))
            .collect();
        expected.sort_unstable();
        prop_assert_eq!(left, expected);
    }

    /// When time runs out order may be lost, items may not, and each node's own order stays.
    #[test]
    fn nothing_is_lost_or_doubled_however_late_it_is(
        (streams, turns) in streams(), capacity in 1usize..6, present in 0i64..50, tick in 0u64..1500,
    ) {
        let left = run(&streams, &turns, capacity, present, Duration::from_millis(tick));
        for (node, times) in streams.iter().enumerate() {
            let of_node: Vec<_> = left.iter().filter(|item| item.1 == node).map(|item| item.0).collect();
            prop_assert_eq!(&of_node, times);
        }
        prop_assert_eq!(left.len(), streams.iter().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn no_more_is_held_than_the_buffer_and_one_item_of_each_node(
        (streams, turns) in streams(), capacity in 1usize..6,
    ) {
        let now = Instant::now();
        let names: Vec<String> = (0..streams.len()).map(|node| format!("n{node}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut merge = merge(capacity, PAST, &names, now);
        for node in turns.into_iter().filter(|node| *node < streams.len()) {
            if merge.has_room(&source(names[node])) {
                merge.push(&source(names[node]), Some(1), (), now);
            }
            prop_assert!(merge.held <= capacity + streams.len());
        }
    }
}

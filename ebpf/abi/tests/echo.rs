//! Whose an echo request is, and that mistakes about it are noticed (security tests 7 and 30).

use std::time::{Duration, Instant};

use datapath_abi::flow::Key;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const ICMP: u8 = 1;
const UDP: u8 = 17;
const REPLY: u8 = 0;
const REQUEST: u8 = 8;

/// From source, destination, protocol and ICMP type to the key of a connection and the place of the source.
type KeyOf = fn((u32, u16), (u32, u16), u8, u8) -> (Key, u8);

/// Two ends and the identifiers they ask each other with; few, so that they are often the same.
fn ends() -> impl Strategy<Value = [(u32, u16); 2]> {
    let end = || (0_u32..4, 0_u16..3);
    [end(), end()].prop_filter("two ends", |[one, other]| one.0 != other.0)
}

/// What the first end begins is answered by the other, and neither end's own requests and their answers are among that.
fn is_told_apart(key_of: KeyOf, [(one, id), (other, its_id)]: [(u32, u16); 2]) -> bool {
    let (asked, place) = key_of((one, id), (other, 0), ICMP, REQUEST);
    let (answered, back) = key_of((other, 0), (one, id), ICMP, REPLY);
    let (asked_back, _) = key_of((other, its_id), (one, 0), ICMP, REQUEST);
    let (answered_back, _) = key_of((one, 0), (other, its_id), ICMP, REPLY);
    asked == answered && place != back && asked != asked_back && asked_back == answered_back
}

fn is_noticed(mistake: KeyOf) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    let mut runner = TestRunner::deterministic();
    let cases = std::iter::repeat_with(|| ends().new_tree(&mut runner).map(|tree| tree.current()));
    cases
        .take_while(|_| Instant::now() < end)
        .flatten()
        .any(|ends| !is_told_apart(mistake, ends))
}

proptest! {
    #[test]
    fn an_echo_request_in_the_direction_of_answers_is_a_connection_of_its_own(ends in ends()) {
        prop_assert!(is_told_apart(Key::of, ends));
    }
}

/// GHSA-c66w-hq56-4q97: the identifier stands for both ports, and the type for nothing.
fn like_datagrams(source: (u32, u16), destination: (u32, u16), protocol: u8, _: u8) -> (Key, u8) {
    let id = source.1.max(destination.1);
    let (key, place) = Key::of((source.0, id), (destination.0, id), UDP, 0);
    (Key { protocol, ..key }, place)
}

/// The same where only the end tells requests apart.
fn whoever_asks(
    source: (u32, u16),
    destination: (u32, u16),
    protocol: u8,
    icmp_type: u8,
) -> (Key, u8) {
    let (key, place) = Key::of(source, destination, protocol, icmp_type);
    (Key { kind: 0, ..key }, place)
}

#[test]
fn every_known_mistake_about_whose_an_echo_is_is_noticed_within_ten_seconds() {
    for (name, mistake) in [
        ("like datagrams", like_datagrams as KeyOf),
        ("whoever asks", whoever_asks),
    ] {
        assert!(is_noticed(mistake), "{name} goes unnoticed");
    }
}

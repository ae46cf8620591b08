use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SIZE: usize = 800;

fn group(holder: u32, answered: bool) -> Group {
    Group { holder, answered }
}

/// What stays of a table, by group; the ends of what stays.
fn left(entries: &[(Group, u32)]) -> BTreeMap<(u32, bool), Vec<u32>> {
    let mut census = Census::default();
    for (group, ends_in) in entries {
        census.count(*group, *ends_in);
    }
    let mut give_way = census.give_way(SIZE);
    let mut left: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    for (group, ends_in) in entries {
        let ends = left.entry((group.holder, group.answered)).or_default();
        if !give_way.takes(*group, *ends_in) {
            ends.push(*ends_in);
        }
    }
    left
}

fn many(holder: u32, answered: bool, number: u32) -> Vec<(Group, u32)> {
    (0..number)
        .map(|end| (group(holder, answered), end))
        .collect()
}

fn counts(entries: &[(Group, u32)]) -> Vec<usize> {
    left(entries).values().map(Vec::len).collect()
}

#[test]
fn nobody_gives_way_while_half_of_the_table_is_free() {
    assert_eq!(counts(&many(1, false, 400)), [400]);
}

#[test]
fn the_flood_of_one_gives_way_and_the_others_lose_nothing() {
    let table = [
        many(1, false, 600),
        many(2, true, 90),
        many(2, false, 30),
        many(3, true, 10),
    ];
    // By holder, what was not answered first: 300 may stay of 1 and 2 together.
    assert_eq!(counts(&table.concat()), [270, 30, 90, 10]);
}

#[test]
fn what_is_nearest_to_its_end_goes_first() {
    let left = left(&many(1, false, 600));
    assert_eq!(left[&(1, false)], (200..600).collect::<Vec<_>>());
}

#[test]
fn of_entries_that_end_at_one_moment_only_as_many_go_as_have_to() {
    let table = vec![(group(1, false), 7); 600];
    assert_eq!(counts(&table), [400]);
}

#[test]
fn connections_that_were_answered_stay_until_three_quarters_are_theirs() {
    assert_eq!(counts(&many(1, true, 600)), [600]);
    let table = [many(1, true, 700), many(2, true, 50)].concat();
    assert_eq!(counts(&table), [550, 50]);
}

#[test]
fn a_table_of_answered_connections_still_has_room_for_those_that_begin() {
    let table = [many(1, true, 500), many(2, false, 100), many(3, false, 100)].concat();
    assert_eq!(counts(&table), [500, 50, 50]);
}

#[test]
fn two_that_hold_alike_give_way_alike() {
    let table = [many(1, false, 350), many(2, false, 350)].concat();
    assert_eq!(counts(&table), [200, 200]);
}

proptest! {
    #[test]
    fn an_eighth_is_free_afterwards_and_nobody_loses_who_holds_less_than_one_that_gives_way(
        held in prop::collection::vec((0_u32..200, 0_u32..200), 1..8),
        ends in 1_u32..50,
    ) {
        let mut table = Vec::new();
        for (holder, (unanswered, answered)) in (0_u32..).zip(&held) {
            for (answered, number) in [(false, *unanswered), (true, *answered)] {
                table.extend((0..number).map(|n| (group(holder, answered), n % ends)));
            }
        }
        let left = left(&table);
        let stay: usize = left.values().map(Vec::len).sum();
        prop_assert!(stay <= SIZE / 8 * 7, "{} stay", stay);
        for answered in [false, true] {
            let of = |holder: u32| left.get(&(holder, answered)).map_or(0, Vec::len);
            let had = |holder: u32| {
                let (without, with) = held[holder as usize];
                if answered { with as usize } else { without as usize }
            };
            let holders = 0..u32::try_from(held.len()).unwrap();
            for loser in holders.clone().filter(|h| of(*h) < had(*h)) {
                for other in holders.clone() {
                    prop_assert!(of(other) <= of(loser), "{} keeps more than {}", other, loser);
                    prop_assert!(had(other) > of(loser) || of(other) == had(other), "{} loses", other);
                }
            }
        }
        if table.len() <= SIZE / 2 {
            prop_assert_eq!(stay, table.len());
        }
    }
}

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SEED: [u8; 12] = *b"of a cluster";

fn maglev(slots: u32) -> Maglev {
    Maglev::new(slots, SEED).unwrap()
}

fn backend(number: u32) -> Backend {
    Backend {
        ip: Ipv4Addr::from(0x0af4_0000 + number),
        port: 8080,
    }
}

fn backends(numbers: impl IntoIterator<Item = u32>) -> Vec<Backend> {
    numbers.into_iter().map(backend).collect()
}

/// For each slot the backend itself.
fn spread(maglev: Maglev, backends: &[Backend]) -> Vec<Backend> {
    let table = maglev.table(backends);
    table.iter().map(|at| backends[usize::from(*at)]).collect()
}

fn shares(spread: &[Backend]) -> BTreeMap<Backend, usize> {
    let mut shares = BTreeMap::new();
    for backend in spread {
        *shares.entry(*backend).or_default() += 1;
    }
    shares
}

#[test]
fn only_ciliums_sizes_are_taken_and_each_is_a_prime() {
    for size in Maglev::SIZES {
        assert!((2..size).all(|n| size % n != 0), "{size}");
        assert_eq!(Maglev::new(size, SEED).map(Maglev::slots), Some(size));
    }
    for size in [0, 1, 2, 16_384, 16_382, 131_072] {
        assert_eq!(Maglev::new(size, SEED), None, "{size}");
    }
}

#[test]
fn without_backends_there_is_no_table_and_a_single_one_has_all_of_it() {
    assert_eq!(maglev(251).table(&[]), []);
    assert_eq!(maglev(251).table(&backends([7])), vec![0; 251]);
}

#[test]
fn of_more_backends_than_slots_each_has_one_slot_or_none_so_such_a_table_suits_nobody() {
    let many = backends(0..300);
    let shares = shares(&spread(maglev(251), &many));
    assert_eq!(shares.len(), 251);
    assert!(shares.values().all(|slots| *slots == 1));
    let suits = [0, 1, 2, 251, 252].map(|backends| maglev(251).suits(backends));
    assert_eq!(suits, [false, false, true, true, false]);
}

#[test]
fn another_seed_is_another_table() {
    let all = backends(0..10);
    let mut seed = SEED;
    for byte in [0, 8] {
        seed[byte] ^= 1;
        let other = Maglev::new(1021, seed).unwrap();
        assert_ne!(other.table(&all), maglev(1021).table(&all), "{byte}");
    }
}

#[test]
fn who_sees_the_settings_does_not_see_the_secret() {
    assert_eq!(format!("{:?}", maglev(251)), "Maglev { slots: 251, .. }");
}

/// Every node of a cluster must have it so, also one that runs another release.
#[test]
fn the_table_is_this_one() {
    let table = maglev(251).table(&backends(0..4));
    assert_eq!(
        table[..16],
        [0, 2, 3, 2, 3, 1, 0, 0, 1, 2, 1, 1, 0, 3, 1, 2]
    );
}

proptest! {
    #[test]
    fn every_backend_has_its_share(
        numbers in proptest::collection::btree_set(any::<u16>(), 1..=20),
        size in proptest::sample::select(&Maglev::SIZES[3..]),
    ) {
        let all = backends(numbers.into_iter().map(u32::from));
        let spread = spread(maglev(size), &all);
        prop_assert_eq!(spread.len(), size as usize);
        let fair = spread.len() / all.len();
        let shares = shares(&spread);
        prop_assert_eq!(shares.len(), all.len());
        prop_assert!(shares.values().all(|slots| (fair..=fair + 1).contains(slots)), "{:?}", shares);
    }

    #[test]
    fn the_order_of_backends_does_not_matter(
        numbers in Just((0..30).collect::<Vec<u32>>()).prop_shuffle(),
    ) {
        let sorted = spread(maglev(4093), &backends(0..30));
        prop_assert_eq!(spread(maglev(4093), &backends(numbers)), sorted);
    }

    #[test]
    fn when_one_of_many_goes_few_slots_of_the_others_change(many in 2_u32..=50, gone in any::<proptest::sample::Index>()) {
        let all = backends(0..many);
        let gone = all[gone.index(all.len())];
        let left: Vec<Backend> = all.iter().copied().filter(|one| *one != gone).collect();
        let before = spread(maglev(16_381), &all);
        let after = spread(maglev(16_381), &left);
        let moved = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| **before != gone && before != after)
            .count();
        prop_assert!(moved <= before.len() / 20, "{} of {}", moved, before.len());
    }
}

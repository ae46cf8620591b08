use proptest::prelude::*;

use super::share::{FEW, KEPT, NUMBERS};
use super::*;

const GRACE: Duration = Duration::from_mins(1);

fn set(app: &str) -> LabelSet {
    LabelSet::from_iter([("k8s:app", app)])
}

fn of(namespace: &str, app: &str) -> LabelSet {
    LabelSet::from_iter([
        ("k8s:app", app),
        ("k8s:io.kubernetes.pod.namespace", namespace),
    ])
}

/// The first numbers, all of them one namespace's.
fn held_by(namespace: &str, numbers: usize) -> BTreeMap<NumericIdentity, LabelSet> {
    (256..)
        .take(numbers)
        .map(|n| (number(n), of(namespace, &n.to_string())))
        .collect()
}

fn number(n: u32) -> NumericIdentity {
    NumericIdentity(n)
}

fn facts(wanted: &[&str], existing: &[(u32, &str)]) -> Facts {
    Facts {
        wanted: wanted.iter().map(|a| set(a)).collect(),
        existing: existing.iter().map(|&(n, a)| (number(n), set(a))).collect(),
        complete: true,
        ..Facts::default()
    }
}

#[test]
fn each_label_set_without_an_identity_gets_the_next_free_number() {
    let mut allocator = Allocator::new(GRACE);
    let step = allocator.step(
        &facts(&["web", "db", "old"], &[(256, "old")]),
        Instant::now(),
    );
    assert_eq!(
        step.create,
        [(number(257), set("db")), (number(258), set("web"))]
    );
}

#[test]
fn an_identity_made_but_not_yet_seen_is_not_made_twice() {
    let mut allocator = Allocator::new(GRACE);
    let wanted = facts(&["web"], &[]);
    for (number, labels) in allocator.step(&wanted, Instant::now()).create {
        allocator.made(number, labels, Instant::now());
    }
    assert_eq!(allocator.step(&wanted, Instant::now()).create, []);
}

#[test]
fn an_identity_made_that_never_shows_is_made_again() {
    let mut allocator = Allocator::new(GRACE);
    let (wanted, start) = (facts(&["web"], &[]), Instant::now());
    allocator.step(&wanted, start);
    allocator.made(number(256), set("web"), start);
    assert_eq!(
        allocator.step(&wanted, start + SHOWN_AFTER).create,
        [(number(256), set("web"))]
    );
}

#[test]
fn an_identity_somebody_deleted_comes_back_under_its_number() {
    let mut allocator = Allocator::new(GRACE);
    let there = facts(&["db", "web"], &[(300, "web"), (301, "db")]);
    allocator.step(&there, Instant::now());
    let gone = allocator.step(&facts(&["api", "db", "web"], &[]), Instant::now());
    assert_eq!(
        gone.create,
        [
            (number(301), set("db")),
            (number(300), set("web")),
            (number(256), set("api"))
        ]
    );
}

#[test]
fn an_unused_identity_goes_after_the_grace_and_not_before() {
    let mut allocator = Allocator::new(GRACE);
    let start = Instant::now();
    let unused = facts(&[], &[(300, "web")]);
    assert_eq!(allocator.step(&unused, start).delete, []);
    assert_eq!(allocator.step(&unused, start + GRACE / 60 * 59).delete, []);
    assert_eq!(allocator.step(&unused, start + GRACE).delete, [number(300)]);
}

#[test]
fn an_identity_used_again_starts_its_grace_anew() {
    let mut allocator = Allocator::new(GRACE);
    let start = Instant::now();
    allocator.step(&facts(&[], &[(300, "web")]), start);
    allocator.step(&facts(&["web"], &[(300, "web")]), start + GRACE / 2);
    assert_eq!(
        allocator
            .step(&facts(&[], &[(300, "web")]), start + GRACE)
            .delete,
        []
    );
}

#[test]
fn an_identity_an_endpoint_still_has_stays() {
    let mut allocator = Allocator::new(GRACE);
    let start = Instant::now();
    let held = || Facts {
        referenced: [number(300)].into(),
        ..facts(&[], &[(300, "web")])
    };
    allocator.step(&held(), start);
    assert_eq!(allocator.step(&held(), start + GRACE * 2).delete, []);
}

#[test]
fn nothing_is_unused_while_something_is_not_known() {
    let mut allocator = Allocator::new(GRACE);
    let start = Instant::now();
    let unused = || facts(&[], &[(300, "web")]);
    allocator.step(&unused(), start);
    let blind = Facts {
        complete: false,
        ..unused()
    };
    assert_eq!(allocator.step(&blind, start + GRACE * 2).delete, []);
    assert_eq!(allocator.step(&unused(), start + GRACE * 2).delete, []);
    assert_eq!(
        allocator.step(&unused(), start + GRACE * 3).delete,
        [number(300)]
    );
}

#[test]
fn of_two_identities_with_one_label_set_the_higher_goes() {
    let mut allocator = Allocator::new(GRACE);
    let start = Instant::now();
    let twice = || facts(&["web"], &[(300, "web"), (400, "web")]);
    let first = allocator.step(&twice(), start);
    assert_eq!(
        (first.create, first.delete, first.again),
        (vec![], vec![], Some(GRACE))
    );
    assert_eq!(
        allocator.step(&twice(), start + GRACE).delete,
        [number(400)]
    );
}

#[test]
fn a_number_just_freed_is_used_again_last() {
    let mut allocator = Allocator::new(GRACE);
    assert_eq!(
        allocator.step(&facts(&["a"], &[]), Instant::now()).create[0].0,
        number(256)
    );
    assert_eq!(
        allocator.step(&facts(&["b"], &[]), Instant::now()).create[0].0,
        number(257)
    );
}

#[test]
fn numbers_that_cannot_be_read_or_that_an_endpoint_claims_are_not_given() {
    let mut allocator = Allocator::new(GRACE);
    let odd = Facts {
        blocked: [number(256)].into(),
        referenced: [number(257)].into(),
        ..facts(&["web"], &[])
    };
    assert_eq!(
        allocator.step(&odd, Instant::now()).create,
        [(number(258), set("web"))]
    );
}

#[test]
fn when_no_number_is_left_that_is_counted_and_the_others_stay() {
    let mut allocator = Allocator::new(GRACE);
    let all: BTreeMap<_, _> = (256..=65_535)
        .map(|n| (number(n), set(&n.to_string())))
        .collect();
    let wanted = all
        .values()
        .cloned()
        .chain([of("shop", "one"), of("shop", "more")])
        .collect();
    let step = allocator.step(
        &Facts {
            wanted,
            existing: all,
            complete: true,
            ..Facts::default()
        },
        Instant::now(),
    );
    assert_eq!(
        (step.create.len(), step.delete.len(), step.without_number),
        (0, 0, 2)
    );
}

#[test]
fn the_last_quarter_of_the_numbers_is_kept_for_namespaces_that_hold_few() {
    let existing = held_by("greedy", NUMBERS - KEPT - 1);
    let more = ["one", "two", "three"].map(|app| of("greedy", app));
    let wanted = existing.values().cloned().chain(more.clone());
    let facts = Facts {
        wanted: wanted.chain([of("shop", "web")]).collect(),
        existing,
        complete: true,
        ..Facts::default()
    };
    let step = Allocator::new(GRACE).step(&facts, Instant::now());
    let made: BTreeSet<_> = step.create.iter().map(|(_, labels)| labels).collect();
    assert_eq!(made, BTreeSet::from([&more[0], &of("shop", "web")]));
    assert_eq!(step.delete, []);
    let refused = Refused {
        held: NUMBERS - KEPT,
        label_sets: [more[1].clone(), more[2].clone()].into(),
    };
    assert_eq!(
        step.refused,
        BTreeMap::from([("greedy".to_owned(), refused)])
    );
    assert_eq!(step.without_number, 0);
}

#[test]
fn what_was_just_made_counts_for_its_namespace_before_the_watch_shows_it() {
    let mut existing = held_by("greedy", NUMBERS - KEPT);
    let last = existing.len();
    existing.extend(
        (256 + u32::try_from(last).unwrap()..)
            .take(FEW - 1)
            .map(|n| (number(n), of("shop", &n.to_string()))),
    );
    let facts = |extra: &[&str]| Facts {
        wanted: existing
            .values()
            .cloned()
            .chain(extra.iter().map(|app| of("shop", app)))
            .collect(),
        existing: existing.clone(),
        complete: true,
        ..Facts::default()
    };
    let mut allocator = Allocator::new(GRACE);
    let now = Instant::now();
    let [(made, labels)]: [_; 1] = allocator
        .step(&facts(&["a"]), now)
        .create
        .try_into()
        .unwrap();
    allocator.made(made, labels, now);
    let step = allocator.step(&facts(&["a", "b"]), now);
    assert_eq!(step.create, []);
    assert_eq!(step.refused["shop"].held, FEW);
}

#[test]
fn an_identity_comes_back_under_its_number_whatever_its_namespace_holds() {
    let mut allocator = Allocator::new(GRACE);
    let all = held_by("greedy", NUMBERS - KEPT);
    let mut facts = Facts {
        wanted: all.values().cloned().collect(),
        existing: all,
        complete: true,
        ..Facts::default()
    };
    allocator.step(&facts, Instant::now());
    facts.referenced = facts.existing.keys().copied().collect();
    facts.existing.remove(&number(300));
    let step = allocator.step(&facts, Instant::now());
    assert_eq!(step.create, [(number(300), of("greedy", "300"))]);
}

#[test]
fn nobody_waits_until_all_of_anothers_numbers_are_made() {
    let mut allocator = Allocator::new(GRACE);
    let greedy = (0..1000).map(|n| of("greedy", &n.to_string()));
    let facts = Facts {
        wanted: greedy.chain([of("shop", "web")]).collect(),
        complete: true,
        ..Facts::default()
    };
    let step = allocator.step(&facts, Instant::now());
    assert_eq!(step.create.len(), CREATIONS);
    let place = step
        .create
        .iter()
        .position(|(_, labels)| *labels == of("shop", "web"));
    assert!(place.is_some_and(|place| place < 2), "{place:?}");
    assert_eq!(step.again, Some(NEXT_LOOK));
}

#[test]
fn deletions_in_one_look_are_bounded() {
    let mut allocator = Allocator::new(Duration::ZERO);
    let existing = (300..500)
        .map(|n| (number(n), set(&n.to_string())))
        .collect();
    let step = allocator.step(
        &Facts {
            existing,
            complete: true,
            ..Facts::default()
        },
        Instant::now(),
    );
    assert_eq!(step.delete.len(), DELETIONS);
}

proptest! {
    /// Over any history of pods coming and going, with the watch showing writes late.
    #[test]
    fn a_number_never_means_two_label_sets_and_a_wanted_set_keeps_its_number(
        rounds in prop::collection::vec((prop::collection::btree_set("[a-f]", 0..5), any::<bool>()), 1..20),
    ) {
        let mut allocator = Allocator::new(Duration::from_secs(2));
        let start = Instant::now();
        let mut server: BTreeMap<NumericIdentity, LabelSet> = BTreeMap::new();
        let mut shown = server.clone();
        for (i, (apps, show)) in rounds.into_iter().enumerate() {
            let wanted: BTreeSet<LabelSet> = apps.iter().map(|a| set(a)).collect();
            let facts = Facts { wanted: wanted.clone(), existing: shown.clone(), complete: true, ..Facts::default() };
            let step = allocator.step(&facts, start + Duration::from_secs(i as u64));
            for (number, labels) in step.create {
                prop_assert!(number.is_allocated());
                prop_assert!(!server.contains_key(&number), "{} twice", number);
                server.insert(number, labels.clone());
                allocator.made(number, labels, start + Duration::from_secs(i as u64));
            }
            for number in step.delete {
                prop_assert!(!wanted.contains(&server[&number]));
                // A delete is conditional on the version seen; here the watch has shown it.
                server.remove(&number);
                shown.remove(&number);
            }
            for labels in &wanted {
                prop_assert_eq!(server.values().filter(|l| *l == labels).count(), 1);
            }
            if show { shown = server.clone(); }
        }
    }
}

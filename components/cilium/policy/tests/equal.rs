//! T29, T30: the maps answer every packet as the policies mean it, however they came about; and known mistakes are noticed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cilium_policy::{
    Options, Repository, SubjectId, Verdict,
    testing::{Choose, Packet, Scene, choose, generate, kernel, reference},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cilium_policy::{
    Changes, Entry, MapState, PolicyRef,
    fault::Fault,
    testing::{policies, scene},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

/// Scenes per property; each is some hundred packets. `POLICY_CASES` asks for more.
fn cases() -> Config {
    let asked = std::env::var("POLICY_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    Config {
        cases: asked.unwrap_or(400),
        failure_persistence: None,
        ..Config::default()
    }
}

/// The first packet both judges disagree about.
fn disagreement(scene: &Scene, repository: &Repository) -> Option<(Packet, bool)> {
    scene.packets().into_iter().find_map(|packet| {
        let subject = SubjectId(u32::try_from(packet.subject).unwrap());
        let state = repository.state(subject).unwrap();
        let passes = kernel::judge(state, repository.prefixes(), &packet) == Verdict::Allow;
        (passes != reference::allows(scene, &packet)).then_some((packet, passes))
    })
}

fn described(scene: &Scene, packet: &Packet, passes: bool) -> String {
    let mut policies = String::new();
    for policy in scene.policies.values() {
        policies.push_str("---\n");
        policies.push_str(&serde_norway::to_string(policy).unwrap());
    }
    let pods: Vec<_> = scene
        .pods
        .iter()
        .map(|p| (p.identity, p.address, p.labels.canonical()))
        .collect();
    format!(
        "the maps {} what the policies do not: {packet:?}\n{pods:#?}\n{policies}",
        if passes { "let through" } else { "drop" }
    )
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_maps_pass_exactly_the_packets_the_policies_allow(bytes in choose::bytes()) {
        let scene = generate::scene(&mut Choose::new(bytes));
        let mut repository = Repository::new(Options::default());
        scene.feed(&mut repository);
        repository.commit();
        if let Some((packet, passes)) = disagreement(&scene, &repository) {
            prop_assert!(false, "{}", described(&scene, &packet, passes));
        }
    }
}

/// Scenes without end, the same each time.
fn scenes() -> impl Iterator<Item = Scene> {
    let mut runner = TestRunner::deterministic();
    std::iter::repeat_with(move || {
        let bytes = choose::bytes().new_tree(&mut runner).unwrap().current();
        generate::scene(&mut Choose::new(bytes))
    })
}

fn is_noticed(fault: Fault) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    scenes().take_while(|_| Instant::now() < end).any(|scene| {
        let mut repository = Repository::with_fault(Options::default(), fault);
        scene.feed(&mut repository);
        repository.commit();
        disagreement(&scene, &repository).is_some()
    })
}

/// T30: each mistake others made and published is found.
#[test]
fn every_known_mistake_is_noticed_within_ten_seconds() {
    for fault in Fault::ALL {
        let begin = Instant::now();
        assert!(is_noticed(fault), "{fault:?} goes unnoticed");
        println!("{fault:?} noticed after {:?}", begin.elapsed());
    }
}

#[test]
fn generated_packets_meet_every_verdict_and_most_policies_are_followed() {
    let (mut passed, mut dropped, mut refused, mut followed) = (0, 0, 0, 0);
    for scene in scenes().take(60) {
        let mut repository = Repository::new(Options::default());
        scene.feed(&mut repository);
        for packet in scene.packets() {
            *(if reference::allows(&scene, &packet) {
                &mut passed
            } else {
                &mut dropped
            }) += 1;
        }
        for id in scene.policies.keys() {
            *(if repository.refusals(id).is_empty() {
                &mut followed
            } else {
                &mut refused
            }) += 1;
        }
    }
    println!(
        "{passed} packets passed, {dropped} dropped; {followed} policies followed in full, {refused} not"
    );
    assert!(passed > dropped / 4 && dropped > passed / 4);
    assert!(followed > refused && refused > 0);
}

/// What an agent would have in the kernel.
#[derive(Default)]
struct Kernel {
    maps: BTreeMap<SubjectId, MapState>,
    prefixes: BTreeMap<ipnet::Ipv4Net, u32>,
}

impl Kernel {
    fn apply(&mut self, changes: Changes) {
        for (prefix, number) in changes.prefixes_removed {
            assert_eq!(self.prefixes.remove(&prefix), Some(number));
        }
        for (prefix, number) in changes.prefixes_added {
            assert_eq!(self.prefixes.insert(prefix, number), None);
            assert_eq!(self.prefixes.values().filter(|n| **n == number).count(), 1);
        }
        for (subject, change) in changes.subjects {
            let map = self.maps.entry(subject).or_default();
            for key in &change.removes {
                assert!(
                    map.remove(key).is_some(),
                    "{key:?} is removed and was not there"
                );
            }
            map.extend(change.upserts);
        }
    }
}

/// One change of a scene, told to the repository.
fn step(choose: &mut Choose, scene: &mut Scene, repository: &mut Repository, kernel: &mut Kernel) {
    match choose.below(10) {
        0 => remove_policy(choose, scene, repository),
        1..4 => {
            let number = choose.below(5);
            let (id, policy) = policies::policy(choose, &format!("p{number}"));
            scene::feed_policy(repository, &id, &policy);
            scene.policies.insert(id, policy);
        }
        4 => {
            for (name, group) in generate::groups(choose) {
                scene::feed_group(repository, &group);
                scene.groups.insert(name, group);
            }
        }
        5 => {
            if let Some(name) = scene.services.keys().next().cloned() {
                scene.services.remove(&name);
                repository.remove_service(&name);
            }
        }
        6 => toggle_node(scene, repository),
        7 => {
            let place = usize::from(choose.below(3));
            let old = scene.pods[place].clone();
            scene.pods[place].named_ports.clear();
            repository.set_named_ports(old.identity, scene.named_ports(old.identity));
            tell_subject(scene, place, repository);
        }
        8 => replace_pod(choose, scene, repository),
        _ => {
            let id = subject_id(0);
            repository.remove_subject(id);
            kernel.maps.remove(&id);
            tell_subject(scene, 0, repository);
        }
    }
}

fn subject_id(place: usize) -> SubjectId {
    SubjectId(u32::try_from(place).unwrap())
}

fn tell_subject(scene: &Scene, place: usize, repository: &mut Repository) {
    repository.upsert_subject(subject_id(place), scene.pods[place].subject());
}

fn remove_policy(choose: &mut Choose, scene: &mut Scene, repository: &mut Repository) {
    let ids: Vec<_> = scene.policies.keys().cloned().collect();
    if !ids.is_empty() {
        let id = choose.one(&ids);
        scene.policies.remove(&id);
        repository.remove_policy(&id);
    }
}

fn toggle_node(scene: &mut Scene, repository: &mut Repository) {
    if let Some((_, node)) = scene.nodes.remove("n2") {
        repository.remove_node("n2");
        let mut node = node;
        node.labels.insert("zone".into(), "a".into());
        repository.upsert_node("n4", node.clone());
        scene.nodes.insert("n4".into(), (6, node));
    }
}

/// Another pod in the place of one: its identity comes, the old one may go.
fn replace_pod(choose: &mut Choose, scene: &mut Scene, repository: &mut Repository) {
    let labels = generate::labels(choose);
    let known = scene
        .pods
        .iter()
        .find(|p| p.labels == labels)
        .map(|p| p.identity);
    let free = scene.identities().last().map_or(300, |n| n + 1).max(300);
    let old = std::mem::replace(&mut scene.pods[0].identity, known.unwrap_or(free));
    scene.pods[0].labels = labels.clone();
    let new = scene.pods[0].identity;
    repository.upsert_identity(new, labels);
    for identity in [old, new] {
        repository.set_named_ports(identity, scene.named_ports(identity));
    }
    tell_subject(scene, 0, repository);
    if !scene.identities().contains(&old) {
        repository.remove_identity(old);
    }
}

/// A map with what its cookies mean instead of their numbers.
fn meant(
    repository: &Repository,
    state: &MapState,
) -> BTreeMap<cilium_policy::Key, (Verdict, Vec<PolicyRef>)> {
    let mean = |entry: &Entry| {
        let mut policies = repository.policies_behind(entry.cookie).to_vec();
        policies.sort();
        (entry.verdict, policies)
    };
    state
        .iter()
        .map(|(key, entry)| (*key, mean(entry)))
        .collect()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn after_any_changes_the_maps_are_as_if_made_from_scratch(bytes in prop::collection::vec(any::<u8>(), 100..800)) {
        let mut choose = Choose::new(bytes);
        let mut scene = generate::scene(&mut choose);
        let mut repository = Repository::new(Options::default());
        let mut kernel = Kernel::default();
        scene.feed(&mut repository);
        kernel.apply(repository.commit());
        for _ in 0..4 + choose.below(8) {
            step(&mut choose, &mut scene, &mut repository, &mut kernel);
            if choose.once_in(2) {
                kernel.apply(repository.commit());
            }
        }
        kernel.apply(repository.commit());

        let numbers = repository.prefixes().clone();
        let mut scratch = Repository::new(Options { numbers: numbers.clone(), ..Options::default() });
        scene.feed(&mut scratch);
        scratch.commit();
        prop_assert_eq!(&kernel.prefixes, &numbers);
        prop_assert_eq!(scratch.prefixes(), &numbers);
        for place in 0..scene.pods.len() {
            let id = subject_id(place);
            let state = repository.state(id).unwrap();
            prop_assert_eq!(&kernel.maps[&id], state);
            prop_assert_eq!(meant(&repository, state), meant(&scratch, scratch.state(id).unwrap()));
            prop_assert_eq!(repository.policies_of(id), scratch.policies_of(id));
        }
        prop_assert!(disagreement(&scene, &repository).is_none());
    }

    #[test]
    fn a_longer_prefix_never_says_less_than_a_shorter_one(bytes in choose::bytes()) {
        let scene = generate::scene(&mut Choose::new(bytes));
        let mut repository = Repository::new(Options::default());
        scene.feed(&mut repository);
        repository.commit();
        for place in 0..scene.pods.len() {
            let state = repository.state(subject_id(place)).unwrap();
            for (outer, a) in state {
                for (inner, b) in state.iter().filter(|(inner, _)| *inner != outer && covers(outer, inner)) {
                    prop_assert!(a.verdict < b.verdict, "{outer:?} {a:?} hides {inner:?} {b:?}");
                }
            }
        }
    }
}

fn covers(outer: &cilium_policy::Key, inner: &cilium_policy::Key) -> bool {
    (outer.identity, outer.direction) == (inner.identity, inner.direction)
        && (outer.protocol == 0
            || outer.protocol == inner.protocol
                && outer.port_bits <= inner.port_bits
                && (outer.port ^ inner.port).leading_zeros() >= u32::from(outer.port_bits))
}

//! Two ways to the same output, and what the output may never do.

use std::collections::BTreeMap;

use gloo_translate::{
    Delta, PolicyKey, Rule, Translator,
    testing::{
        changes::{Change, changes, cluster, sharing},
        fleet::{fleet, place, slot},
        partners::partners,
        reference::{enforced, questions, reaches},
    },
    verdict::{Status, Subject},
    world::{Labels, Object, World},
};
use proptest::prelude::*;

type Output = (BTreeMap<PolicyKey, Rule>, BTreeMap<Subject, Status>);

fn output(translator: &Translator) -> Output {
    let rules = translator.rules();
    let statuses = translator.statuses();
    (
        rules.map(|(k, v)| (k.clone(), v.clone())).collect(),
        statuses.map(|(k, v)| (k.clone(), v.clone())).collect(),
    )
}

fn scratch(world: &World) -> Translator {
    let mut translator = Translator::new(world.clone());
    translator.settle();
    translator
}

/// What all changes at once come to.
fn after(changes: &[Change]) -> Translator {
    let mut translator = Translator::new(World::new(cluster("west")));
    for change in changes {
        change.apply(&mut translator);
    }
    translator.settle();
    translator
}

fn take(output: &mut Output, delta: Delta) {
    for (key, rule) in delta.rules {
        match rule {
            Some(rule) => drop(output.0.insert(key, rule)),
            None => drop(output.0.remove(&key)),
        }
    }
    for (subject, status) in delta.statuses {
        match status {
            Some(status) => drop(output.1.insert(subject, status)),
            None => drop(output.1.remove(&subject)),
        }
    }
}

/// The first question the rules answer otherwise than the reference.
fn wrong(world: &World, rules: &[(PolicyKey, Rule)]) -> Option<String> {
    questions(world).into_iter().find_map(|(peer, slot, name)| {
        let service = &world.namespaces[&slot].services[&name];
        let should = reaches(world, &peer, &slot, &name);
        let does = enforced(rules, service, &peer, &slot);
        (should != does)
            .then(|| format!("{peer:?} to {name} in {slot:?}: should {should}, does {does}"))
    })
}

fn rules(translator: &Translator) -> Vec<(PolicyKey, Rule)> {
    output(translator).0.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn change_by_change_and_from_scratch_come_to_the_same(changes in changes(60), often in 1..8usize) {
        let mut translator = Translator::new(World::new(cluster("west")));
        let mut followed = Output::default();
        for (at, change) in changes.iter().enumerate() {
            change.apply(&mut translator);
            if at % often == 0 {
                take(&mut followed, translator.settle());
                let scratch = scratch(translator.world());
                prop_assert_eq!(output(&translator), output(&scratch));
                prop_assert_eq!(&followed, &output(&scratch));
            }
        }
    }

    #[test]
    fn an_account_reaches_what_the_documentation_says_and_nothing_else(changes in changes(80)) {
        let translator = after(&changes);
        prop_assert_eq!(wrong(translator.world(), &rules(&translator)), None);
    }

    #[test]
    fn a_workspace_reaches_of_another_what_one_exports_and_the_other_imports_and_nothing_else(changes in partners()) {
        let translator = after(&changes);
        prop_assert_eq!(wrong(translator.world(), &rules(&translator)), None);
    }

    #[test]
    fn services_that_share_pods_open_nothing_an_access_policy_closes(changes in sharing()) {
        let translator = after(&changes);
        prop_assert_eq!(wrong(translator.world(), &rules(&translator)), None);
    }

    #[test]
    fn nothing_is_made_for_a_protected_namespace(changes in changes(80)) {
        let translator = after(&changes);
        for (key, _) in translator.rules() {
            prop_assert!(!gloo_api::labels::is_protected(&key.slot.namespace), "{key:?}");
        }
    }
}

type Mistake = fn(&mut Rule);

/// Mistakes that were made elsewhere. The reference must see each of them in some world.
#[test]
fn the_reference_sees_mistakes() {
    let mistakes: [(&str, Mistake); 4] = [
        ("namesakes of other clusters are let in", |rule| {
            for peer in rule.peers.clone() {
                for other in ["west", "east"] {
                    let mut peer = peer.clone();
                    peer.slot.cluster = cluster(other);
                    rule.peers.insert(peer);
                }
            }
        }),
        ("one account is forgotten", |rule| {
            rule.peers.pop_first();
        }),
        ("nobody is taken for an empty rule", |rule| {
            rule.selector.insert("nothing".to_owned(), String::new());
        }),
        ("ports are forgotten", |rule| {
            rule.ports.pop_first();
            rule.ports.insert(gloo_translate::world::PodPort {
                port: "1".to_owned(),
                protocol: "TCP",
            });
        }),
    ];
    for (name, mistake) in mistakes {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let found = (0..2000).any(|_| {
            let tree = changes(80).new_tree(&mut runner).unwrap();
            let translator = after(&proptest::strategy::ValueTree::current(&tree));
            let mut rules = rules(&translator);
            for (_, rule) in &mut rules {
                mistake(rule);
            }
            wrong(translator.world(), &rules).is_some()
        });
        assert!(found, "{name}");
    }
}

/// Work for one new account, and for all.
fn cost(workspaces: usize) -> (usize, usize) {
    let mut translator = fleet(workspaces);
    translator.settle();
    let before = translator.work();
    let home = slot("west", "team-0".to_owned());
    translator.put(&place(&home, "new"), Object::Account(Labels::new()));
    assert!(!translator.settle().is_empty());
    let after = translator.work();
    let change = after.renders + after.rules + after.checks;
    (
        change - before.renders - before.rules - before.checks,
        before.rules,
    )
}

#[test]
fn a_change_costs_what_it_touches_however_many_workspaces_there_are() {
    let (small, few) = cost(10);
    let (large, many) = cost(1000);
    assert_eq!(small, large);
    assert!(many >= few * 100);
}

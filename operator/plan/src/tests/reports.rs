use std::collections::BTreeMap;

use gloonet_api::{GlooNetworkSpec, GlooNetworkStatus, status::HistoryState};
use gloonet_catalog::{ClusterFacts, ComponentId, validate};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::world::{World, object, platform};
use crate::{
    Fights, Plan, Situation, Step, graph,
    progress::{Outcome, Trouble},
    removal, report, status,
};

/// What is said when the steps for Redis ended so, in a platform where all is healthy.
fn told(trouble: Option<Trouble>, retry: bool) -> GlooNetworkStatus {
    next(&GlooNetworkStatus::default(), trouble, retry, 0)
}

fn next(
    previous: &GlooNetworkStatus,
    trouble: Option<Trouble>,
    retry: bool,
    second: i64,
) -> GlooNetworkStatus {
    let outcome = Outcome {
        trouble,
        ..Outcome::default()
    };
    reported(previous, outcome, retry, second, &Others::default())
}

/// What is not about a component of ours.
#[derive(Default)]
struct Others {
    unknown_fields: Vec<String>,
    fights: Vec<String>,
}

fn reported(
    previous: &GlooNetworkStatus,
    outcome: Outcome,
    retry: bool,
    second: i64,
    others: &Others,
) -> GlooNetworkStatus {
    let (mut world, mut desired) = (World::new(), platform());
    world.converge(&mut desired);
    let facts = ClusterFacts {
        api_server: Some(("192.0.2.1".to_owned(), 6443)),
        ..ClusterFacts::default()
    };
    let situation = Situation {
        previous,
        generation: Some(2),
        input: Some(&validate(&GlooNetworkSpec::named("west"), &facts).unwrap()),
        refusals: &[],
        unknown_fields: &others.unknown_fields,
        desired: &desired,
        plan: &Plan::default(),
        outcomes: &BTreeMap::from([(ComponentId::Redis, outcome)]),
        retry,
        fights: others.fights.clone(),
        inventory: &world.inventory,
        inventory_name: ("gloonet-system", "gloonet-inventory"),
        versions: &BTreeMap::new(),
        paused: None,
        expired_pause: None,
        trigger: "a test",
        millis: 0,
        now: Timestamp::from_second(second).unwrap(),
    };
    status(&situation).status
}

fn condition<'a>(status: &'a GlooNetworkStatus, kind: &str) -> &'a Condition {
    let mut all = status.conditions.iter();
    all.find(|one| one.type_ == kind).unwrap()
}

fn words(status: &GlooNetworkStatus) -> [&str; 3] {
    ["Progressing", "Degraded", "Upgradeable"].map(|kind| condition(status, kind).status.as_str())
}

#[test]
fn a_generation_is_through_when_nothing_of_it_failed() {
    let through = told(None, false);
    assert_eq!(words(&through), ["False", "False", "True"]);
    assert_eq!(through.history[0].state, HistoryState::Completed);
}

#[test]
fn a_step_that_is_tried_again_is_in_progress_and_says_why() {
    let passing = Trouble::Passing("the API server is busy".to_owned());
    let status = told(Some(passing), true);
    assert_eq!(words(&status), ["True", "False", "False"]);
    let why = &condition(&status, "Progressing").message;
    assert_eq!(why, "redis: the API server is busy");
}

#[test]
fn a_plan_that_was_not_run_is_in_progress_although_every_row_is_healthy() {
    let status = told(None, true);
    assert_eq!(words(&status), ["True", "False", "False"]);
    let why = &condition(&status, "Progressing").message;
    assert!(why.contains("see the operator's log"), "{why}");
    assert_eq!(status.history[0].state, HistoryState::Partial);
    assert_eq!(status.version, None);
}

#[test]
fn what_failed_for_good_is_degraded_and_nothing_is_in_progress() {
    let lasting = Trouble::Lasting("field is immutable".to_owned());
    assert_eq!(
        words(&told(Some(lasting), true)),
        ["False", "True", "False"]
    );
}

#[test]
fn a_change_that_is_refused_for_good_leaves_what_runs_available() {
    let refused = || Some(Trouble::Lasting("field is immutable".to_owned()));
    let first = next(&told(None, false), refused(), true, 10);
    let long = next(&first, refused(), true, 1000);
    assert_eq!(words(&long), ["False", "True", "False"]);
    assert_eq!(condition(&long, "Available").status, "True");
}

/// What is said in a platform where all is healthy.
fn said_of(others: &Others) -> GlooNetworkStatus {
    let nobody = GlooNetworkStatus::default();
    reported(&nobody, Outcome::default(), false, 0, others)
}

#[test]
fn who_changes_an_object_back_again_and_again_is_named_with_the_object() {
    let mut fights = Fights::default();
    let key = object("ConfigMap/redis=1").key;
    for second in 0..5 {
        let now = Timestamp::from_second(second).unwrap();
        fights.corrected(&key, "helm had changed .data.key", now);
    }
    let status = said_of(&Others {
        fights: fights.sentences(),
        ..Others::default()
    });
    assert_eq!(words(&status), ["False", "True", "False"]);
    let degraded = condition(&status, "Degraded");
    assert_eq!(degraded.reason, "FightingManager");
    let named = format!("{key} was changed back 5 times: helm had changed .data.key");
    assert!(degraded.message.starts_with(&named), "{}", degraded.message);
    assert!(status.message.contains(&named), "{}", status.message);
}

#[test]
fn every_field_that_is_not_known_is_named_before_who_fights() {
    let unknown_fields = ["spec.cilium.colour", "spec.size"].map(str::to_owned);
    let status = said_of(&Others {
        unknown_fields: unknown_fields.to_vec(),
        fights: vec!["somebody fights".to_owned()],
    });
    let degraded = condition(&status, "Degraded");
    assert_eq!(degraded.reason, "UnknownField");
    let parts: Vec<&str> = degraded.message.split("; ").collect();
    assert!(
        parts[0].starts_with("spec.cilium.colour is no field"),
        "{parts:?}"
    );
    assert!(
        degraded.message.contains("spec.size is no field"),
        "{parts:?}"
    );
    assert_eq!(parts.last(), Some(&"somebody fights"));
    assert_eq!(condition(&status, "Available").status, "True");
}

#[test]
fn an_uninstall_does_not_come_back_to_what_it_left_to_kubernetes() {
    let (mut world, mut desired) = (World::new(), platform());
    world.converge(&mut desired);
    let order = graph::order(&desired).unwrap();
    let hanging = object("Deployment/prometheus=1").key;
    let spec = GlooNetworkSpec::named("west");
    let mut status = told(None, false);
    let mut now = Timestamp::UNIX_EPOCH;
    let end = now + removal::PATIENCE + SignedDuration::from_secs(20);
    while !world.released {
        assert!(now < end, "{}", status.message);
        let look = removal::uninstall(&order, &world.live, &world.inventory, now, |name| {
            report::began(&status, name)
        });
        for step in &look.steps {
            if !matches!(step, Step::Delete { key, .. } if *key == hanging) {
                world.run(step);
            }
        }
        status = report::leaving(&status, None, &spec, &look, now);
        now += SignedDuration::from_secs(2);
    }
    assert!(world.live.get(&hanging).is_some());
}

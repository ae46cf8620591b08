use gloonet_api::status::{ComponentHealth, ComponentState, ComponentStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Complaint, Facts, conditions};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn row(
    name: &str,
    health: ComponentHealth,
    since: i64,
    ready: i32,
    desired: i32,
) -> ComponentStatus {
    ComponentStatus {
        name: name.to_owned(),
        version: String::new(),
        state: ComponentState::Managed,
        health,
        message: "why".to_owned(),
        since: Some(Time(at(since))),
        updated: Some(Time(at(since))),
        ready,
        desired,
    }
}

fn judge(previous: &[Condition], rows: &[ComponentStatus], now: i64) -> Vec<Condition> {
    conditions(
        previous,
        &Facts {
            components: rows,
            ..Facts::default()
        },
        at(now),
    )
}

fn status<'a>(conditions: &'a [Condition], kind: &str) -> &'a str {
    &conditions
        .iter()
        .find(|condition| condition.type_ == kind)
        .unwrap()
        .status
}

fn settled() -> Vec<Condition> {
    judge(&[], &[row("redis", ComponentHealth::Healthy, 0, 1, 1)], 0)
}

#[test]
fn all_healthy_is_available_settled_and_upgradeable() {
    let now = settled();
    let all: Vec<_> = [
        "Available",
        "Progressing",
        "Degraded",
        "Upgradeable",
        "Paused",
    ]
    .map(|kind| status(&now, kind))
    .into();
    assert_eq!(all, ["True", "False", "False", "True", "False"]);
}

#[test]
fn available_is_false_until_everything_was_healthy_once() {
    let now = judge(
        &[],
        &[row("redis", ComponentHealth::Progressing, 0, 0, 1)],
        10,
    );
    assert_eq!(
        (status(&now, "Available"), status(&now, "Progressing")),
        ("False", "True")
    );
}

#[test]
fn a_normal_rollout_of_a_single_pod_does_not_flip_available() {
    let rolling = judge(
        &settled(),
        &[row("redis", ComponentHealth::Progressing, 5, 0, 1)],
        200,
    );
    assert_eq!(
        (
            status(&rolling, "Available"),
            status(&rolling, "Progressing")
        ),
        ("True", "True")
    );
}

#[test]
fn a_component_that_is_down_for_a_minute_flips_available() {
    let down = [row("redis", ComponentHealth::Degraded, 10, 0, 1)];
    assert_eq!(status(&judge(&settled(), &down, 69), "Available"), "True");
    let later = judge(&settled(), &down, 70);
    assert_eq!(
        (status(&later, "Available"), status(&later, "Degraded")),
        ("False", "True")
    );
}

#[test]
fn one_broken_pod_of_several_is_degraded_and_still_available() {
    let now = judge(
        &settled(),
        &[row("cilium-agent", ComponentHealth::Degraded, 0, 2, 3)],
        1000,
    );
    assert_eq!(
        (status(&now, "Available"), status(&now, "Degraded")),
        ("True", "True")
    );
}

#[test]
fn what_stands_is_not_down_however_long_its_change_fails() {
    let rows = [row("redis", ComponentHealth::Degraded, 0, 1, 1)];
    let standing = Facts {
        components: &rows,
        standing: vec!["redis"],
        ..Facts::default()
    };
    let now = conditions(&settled(), &standing, at(1000));
    assert_eq!(
        (status(&now, "Available"), status(&now, "Degraded")),
        ("True", "True")
    );
    let fallen = judge(&settled(), &rows, 1000);
    assert_eq!(status(&fallen, "Available"), "False");
}

#[test]
fn what_cannot_be_seen_is_neither_degraded_nor_unavailable() {
    let now = judge(
        &settled(),
        &[row("redis", ComponentHealth::Unknown, 0, 0, 1)],
        10_000,
    );
    assert_eq!(
        (status(&now, "Available"), status(&now, "Degraded")),
        ("True", "False")
    );
}

#[test]
fn a_refused_specification_is_degraded_and_takes_nothing_away() {
    let rows = [row("redis", ComponentHealth::Healthy, 0, 1, 1)];
    let complaint = Complaint {
        reason: "Refused",
        message: "spec.version: unknown".to_owned(),
    };
    let now = conditions(
        &settled(),
        &Facts {
            components: &rows,
            complaints: vec![complaint],
            ..Facts::default()
        },
        at(5),
    );
    assert_eq!(
        (status(&now, "Available"), status(&now, "Degraded")),
        ("True", "True")
    );
    assert_eq!(now[2].reason, "Refused");
}

#[test]
fn the_transition_time_moves_only_with_the_status() {
    let before = settled();
    let same = judge(
        &before,
        &[row("redis", ComponentHealth::Healthy, 0, 1, 1)],
        500,
    );
    assert_eq!(before, same);
}

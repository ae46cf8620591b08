use gloonet_api::cilium::Rollout;
use gloonet_api::status::{ComponentHealth, ComponentState, ComponentStatus};
use gloonet_catalog::{ComponentId, Health};
use jiff::{SignedDuration, Timestamp};

use super::{Look, Outcome, Trouble, advance, deadline, is_late};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn redis<'a>(health: &'a Health, outcome: &'a Outcome) -> Look<'a> {
    Look {
        id: ComponentId::Redis,
        version: "7.0.15",
        deadline: deadline(ComponentId::Redis, &Rollout::default()),
        state: ComponentState::Managed,
        health,
        broken: None,
        waiting_for: &[],
        outcome,
    }
}

fn step(last: Option<&ComponentStatus>, health: &Health, now: i64) -> ComponentStatus {
    advance(last, redis(health, &Outcome::default()), at(now))
}

#[test]
fn a_component_that_does_not_move_turns_degraded_at_its_deadline_and_keeps_its_story() {
    let starting = Health::progressing("0 of 1 pods available").counted(0, 1);
    let first = step(None, &starting, 0);
    let almost = step(Some(&first), &starting, 299);
    assert_eq!(almost.health, ComponentHealth::Progressing);
    let late = step(Some(&almost), &starting, 300);
    assert_eq!(late.health, ComponentHealth::Degraded);
    assert_eq!(
        late.message,
        "no progress since 22:13:20 UTC: 0 of 1 pods available"
    );
    assert_eq!(step(Some(&late), &starting, 301), late);
}

#[test]
fn a_component_is_late_from_its_deadline_until_something_is_written() {
    let starting = Health::progressing("0 of 1 pods available").counted(0, 1);
    let deadline = deadline(ComponentId::Redis, &Rollout::default());
    let late = |row: &ComponentStatus, now| is_late(row, deadline, at(now));
    let first = step(None, &starting, 0);
    assert!(!late(&first, 300), "the row does not say so yet");
    let stuck = step(Some(&first), &starting, 300);
    assert!(late(&stuck, 300));
    let written = Outcome {
        changed: 1,
        ..Outcome::default()
    };
    let corrected = advance(Some(&stuck), redis(&starting, &written), at(310));
    assert!(!late(&corrected, 310));
    let broken = step(Some(&corrected), &Health::degraded("1 pod Error"), 320);
    assert!(!late(&broken, 330), "what is broken may still move");
}

#[test]
fn the_deadline_survives_a_restart_because_it_is_kept_in_status() {
    let starting = Health::progressing("").counted(0, 1);
    let stored = serde_json::to_string(&step(None, &starting, 0)).unwrap();
    let restored: ComponentStatus = serde_json::from_str(&stored).unwrap();
    assert_eq!(
        step(Some(&restored), &starting, 300).health,
        ComponentHealth::Degraded
    );
}

#[test]
fn each_pod_that_becomes_ready_starts_the_deadline_anew() {
    let mut last = step(None, &Health::progressing("").counted(0, 3), 0);
    for (ready, now) in [(1, 250), (2, 500), (2, 750)] {
        last = step(Some(&last), &Health::progressing("").counted(ready, 3), now);
        assert_eq!(
            last.health,
            ComponentHealth::Progressing,
            "{ready} ready at {now}"
        );
    }
    assert_eq!(
        step(Some(&last), &Health::progressing("").counted(2, 3), 800).health,
        ComponentHealth::Degraded
    );
}

/// Rows of an agent that goes over three nodes, each of them back a minute after the soak of the one before.
fn rollout(soak: u16) -> Vec<ComponentHealth> {
    let slow = Rollout {
        soak_seconds: soak,
        ..Rollout::default()
    };
    let moving = |ready| Health::progressing("2 updated").counted(ready, 3);
    let nothing = Outcome::default();
    let mut last = None;
    let mut now = 0;
    let mut seen = Vec::new();
    for (ready, pause) in [(2, 60), (3, i64::from(soak)), (2, 60), (3, 0)] {
        for passed in [0, pause] {
            let health = moving(ready);
            let agent = Look {
                id: ComponentId::CiliumAgent,
                deadline: deadline(ComponentId::CiliumAgent, &slow),
                ..redis(&health, &nothing)
            };
            let row = advance(last.as_ref(), agent, at(now + passed));
            seen.push(row.health);
            last = Some(row);
        }
        now += pause;
    }
    seen
}

#[test]
fn an_agent_that_soaks_for_an_hour_on_each_node_is_not_late() {
    for soak in [0, 600, 3600] {
        let seen = rollout(soak);
        let moving = |health: &ComponentHealth| *health == ComponentHealth::Progressing;
        assert!(seen.iter().all(moving), "{soak}: {seen:?}");
    }
}

#[test]
fn an_agent_that_gets_nowhere_is_late_ten_minutes_after_its_soak() {
    let rollout = Rollout {
        soak_seconds: 900,
        ..Rollout::default()
    };
    let deadline = deadline(ComponentId::CiliumAgent, &rollout);
    assert_eq!(deadline, SignedDuration::from_mins(25));
}

#[test]
fn a_pod_that_is_lost_is_not_progress() {
    let last = step(None, &Health::progressing("").counted(2, 3), 0);
    let fewer = step(Some(&last), &Health::progressing("").counted(1, 3), 100);
    assert_eq!(fewer.updated, last.updated);
}

#[test]
fn time_without_sight_does_not_count_towards_the_deadline() {
    let starting = Health::progressing("").counted(0, 1);
    let blind = step(
        Some(&step(None, &starting, 0)),
        &Health::unknown("the API server does not answer").counted(0, 1),
        10,
    );
    assert_eq!(blind.health, ComponentHealth::Unknown);
    let back = step(Some(&blind), &starting, 4000);
    assert_eq!(back.health, ComponentHealth::Progressing);
}

#[test]
fn a_refused_object_is_degraded_and_a_busy_api_server_is_not() {
    let health = Health::progressing("");
    let lasting = Outcome {
        trouble: Some(Trouble::Lasting("Service x: field is immutable".to_owned())),
        ..Outcome::default()
    };
    let passing = Outcome {
        trouble: Some(Trouble::Passing("timeout".to_owned())),
        ..Outcome::default()
    };
    assert_eq!(
        advance(None, redis(&health, &lasting), at(0)).health,
        ComponentHealth::Degraded
    );
    assert_eq!(
        advance(None, redis(&health, &passing), at(0)).health,
        ComponentHealth::Unknown
    );
}

#[test]
fn waiting_names_what_is_waited_for() {
    let (health, outcome) = (Health::progressing("nothing there"), Outcome::default());
    let look = Look {
        waiting_for: &[ComponentId::CiliumAgent, ComponentId::Trust],
        ..redis(&health, &outcome)
    };
    let status = advance(None, look, at(0));
    assert_eq!(
        (status.health, status.message.as_str()),
        (ComponentHealth::Waiting, "waits for cilium-agent, trust")
    );
}

#[test]
fn a_change_that_waits_for_others_has_its_deadline_from_when_it_may_be_made() {
    let (healthy, nothing) = (Health::healthy("").counted(1, 1), Outcome::default());
    let waiting = Look {
        waiting_for: &[ComponentId::CiliumAgent],
        ..redis(&healthy, &nothing)
    };
    let mut last = step(None, &healthy, 0);
    for now in [10, 400, 4000] {
        last = advance(Some(&last), waiting, at(now));
        assert_eq!(
            (last.health, last.message.as_str()),
            (ComponentHealth::Waiting, "a change waits for cilium-agent")
        );
    }
    let starting = Health::progressing("").counted(0, 1);
    let mut health = |now| {
        last = step(Some(&last), &starting, now);
        last.health
    };
    assert_eq!(health(4010), ComponentHealth::Progressing);
    assert_eq!(health(4309), ComponentHealth::Progressing);
    assert_eq!(health(4310), ComponentHealth::Degraded);
}

#[test]
fn what_was_healthy_before_a_write_is_healthy_again_only_when_it_was_seen_after_it() {
    let healthy = Health::healthy("1 of 1 pods available").counted(1, 1);
    let settled = step(None, &healthy, 0);
    let written = Outcome {
        changed: 1,
        ..Outcome::default()
    };
    let unseen = Outcome {
        unseen: true,
        ..Outcome::default()
    };
    let mut last = settled;
    for (outcome, now) in [(&written, 10), (&unseen, 11)] {
        last = advance(Some(&last), redis(&healthy, outcome), at(now));
        assert_eq!(last.health, ComponentHealth::Progressing, "{outcome:?}");
        assert!(last.message.contains("not seen yet"), "{}", last.message);
    }
    let seen = step(Some(&last), &healthy, 12);
    assert_eq!(
        (seen.health, seen.message.as_str()),
        (ComponentHealth::Healthy, "1 of 1 pods available")
    );
}

#[test]
fn a_write_does_not_hide_what_is_wrong() {
    let written = Outcome {
        changed: 1,
        ..Outcome::default()
    };
    let broken = Health::degraded("no pod left");
    let status = advance(None, redis(&broken, &written), at(0));
    assert_eq!(
        (status.health, status.message.as_str()),
        (ComponentHealth::Degraded, "no pod left")
    );
}

#[test]
fn nothing_changes_when_nothing_happens() {
    let healthy = Health::healthy("1 of 1 pods available").counted(1, 1);
    let first = step(None, &healthy, 0);
    assert_eq!(step(Some(&first), &healthy, 100_000), first);
}

use std::collections::BTreeMap;

use super::*;
use crate::{PodObservation, State, Trouble, WorkloadKind};

const REDIS: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: "gloo-mesh",
    name: "gloo-mesh-redis",
    pod_label: ("app", "redis"),
};

fn workload(desired: i32, updated: i32, available: i32) -> Workload {
    Workload {
        kind: REDIS.kind,
        namespace: REDIS.namespace.to_owned(),
        name: REDIS.name.to_owned(),
        generation: 2,
        observed_generation: 2,
        desired,
        pods: desired,
        updated,
        ready: available,
        available,
        max_unavailable: 1,
    }
}

fn pod(name: &str, reason: Option<&str>) -> PodObservation {
    PodObservation {
        namespace: REDIS.namespace.to_owned(),
        name: name.to_owned(),
        labels: BTreeMap::from([("app".to_owned(), "redis".to_owned())]),
        node: Some("worker-1".to_owned()),
        phase: "Pending".to_owned(),
        troubles: reason
            .map(|reason| Trouble {
                container: Some("redis".to_owned()),
                reason: reason.to_owned(),
                message: "detail".to_owned(),
            })
            .into_iter()
            .collect(),
        ..PodObservation::default()
    }
}

fn observed(workloads: Vec<Workload>, pods: Vec<PodObservation>) -> Observed {
    Observed {
        workloads,
        pods,
        ..Observed::default()
    }
}

#[test]
fn all_pods_updated_and_available_is_healthy() {
    let health = workload_health(&observed(vec![workload(2, 2, 2)], vec![]), &REDIS);
    assert_eq!(
        (health.state, health.ready, health.desired),
        (State::Healthy, 2, 2)
    );
}

#[test]
fn a_generation_the_controller_has_not_seen_is_progressing_even_with_all_pods_available() {
    let mut stale = workload(2, 2, 2);
    stale.observed_generation = 1;
    assert_eq!(
        workload_health(&observed(vec![stale], vec![]), &REDIS).state,
        State::Progressing
    );
}

/// With maxUnavailable 0 the old pods are available while the first new one fails.
#[test]
fn a_new_pod_that_fails_beside_an_old_one_that_serves_is_degraded() {
    let mut surging = workload(1, 1, 1);
    surging.pods = 2;
    let rolling = workload_health(&observed(vec![surging.clone()], vec![]), &REDIS);
    assert_eq!(rolling.state, State::Progressing, "{}", rolling.message);
    let failing = pod("redis-new", Some("CrashLoopBackOff"));
    let health = workload_health(&observed(vec![surging], vec![failing]), &REDIS);
    assert_eq!(health.state, State::Degraded);
    assert!(health.stands, "the old pod serves");
    assert!(health.message.contains("redis-new"), "{}", health.message);
}

#[test]
fn an_old_template_still_running_is_progressing() {
    assert_eq!(
        workload_health(&observed(vec![workload(3, 1, 3)], vec![]), &REDIS).state,
        State::Progressing
    );
}

#[test]
fn a_crash_loop_is_degraded_and_the_sentence_names_pod_container_and_reason() {
    let seen = observed(
        vec![workload(1, 1, 0)],
        vec![pod("redis-a", Some("CrashLoopBackOff"))],
    );
    let health = workload_health(&seen, &REDIS);
    assert_eq!((health.state, health.stands), (State::Degraded, false));
    for part in ["redis-a", "CrashLoopBackOff", "worker-1", "container redis"] {
        assert!(
            health.message.contains(part),
            "{part} is missing in: {}",
            health.message
        );
    }
}

#[test]
fn several_pods_with_one_reason_are_counted_and_not_listed_in_full() {
    let pods = (0..9)
        .map(|index| pod(&format!("redis-{index}"), Some("ImagePullBackOff")))
        .collect();
    let health = workload_health(&observed(vec![workload(9, 9, 0)], pods), &REDIS);
    assert!(
        health.message.contains("9 pods") && !health.message.contains("redis-8"),
        "{}",
        health.message
    );
}

#[test]
fn a_container_being_created_is_progressing() {
    let seen = observed(
        vec![workload(1, 1, 0)],
        vec![pod("redis-a", Some("ContainerCreating"))],
    );
    assert_eq!(workload_health(&seen, &REDIS).state, State::Progressing);
}

#[test]
fn pods_of_another_workload_do_not_speak_for_this_one() {
    let mut stranger = pod("other", Some("CrashLoopBackOff"));
    stranger.labels.clear();
    let seen = observed(vec![workload(1, 1, 0)], vec![stranger]);
    assert_eq!(workload_health(&seen, &REDIS).state, State::Progressing);
}

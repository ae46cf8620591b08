//! What the agents say of the ways between nodes, and through Services.

use super::*;
use crate::PodObservation;

const REACHES_ALL: [(&str, f64); 2] = [("known", 2.0), ("service lost", 0.0)];

/// Two nodes with agents that are ready. This is what that of worker-1 says; the other one reaches everything.
fn says(values: &[(&str, f64)]) -> Observed {
    let mut observed = two_nodes();
    for node in ["control-plane", "worker-1"] {
        observed.pods.push(PodObservation {
            namespace: "kube-system".to_owned(),
            name: format!("cilium-{node}"),
            labels: [("k8s-app".to_owned(), "cilium".to_owned())].into(),
            node: Some(node.to_owned()),
            ready: true,
            ..PodObservation::default()
        });
    }
    let of = |node: &str, values| answered(DATAPATH, &format!("kube-system/cilium-{node}"), values);
    observed.probes = vec![of("control-plane", &REACHES_ALL), of("worker-1", values)];
    observed
}

fn judged(values: &[(&str, f64)]) -> Health {
    CiliumAgent.health(&input(), &says(values))
}

#[test]
fn agents_that_reach_each_other_and_services_are_healthy_and_so_are_those_that_do_not_probe() {
    for values in [&REACHES_ALL[..], &[]] {
        let health = judged(values);
        assert!(health.is_healthy(), "{}", health.message);
    }
}

#[test]
fn what_was_never_reached_holds_back_what_comes_next_and_takes_nothing_from_what_stands() {
    for (values, named) in [
        (
            [
                ("known", 2.0),
                ("new/control-plane", 0.0),
                ("service lost", 0.0),
            ],
            "node control-plane",
        ),
        (
            [
                ("known", 2.0),
                ("new/control-plane", 2.0),
                ("service lost", 0.0),
            ],
            "node control-plane",
        ),
        (
            [
                ("known", 2.0),
                ("lost/control-plane", 2.0),
                ("service new", 1.0),
            ],
            "Service kube-system/cilium-health",
        ),
    ] {
        let health = judged(&values);
        let seen = (health.state, health.serves, health.stands);
        assert_eq!(seen, (State::Progressing, false, true), "{values:?}");
        assert!(health.message.contains(named), "{}", health.message);
        assert!(health.message.contains("worker-1"), "{}", health.message);
    }
}

#[test]
fn an_agent_that_has_not_asked_the_service_or_knows_too_few_nodes_is_not_through() {
    for (values, named) in [
        (&[("known", 2.0)][..], "cilium-health yet"),
        (
            &[("known", 1.0), ("service lost", 0.0)],
            "knows 1 of 2 nodes",
        ),
    ] {
        let health = judged(values);
        assert_eq!(health.state, State::Progressing, "{values:?}");
        assert!(health.message.contains(named), "{}", health.message);
    }
}

#[test]
fn a_way_that_worked_is_broken_after_three_attempts_and_not_before() {
    let node = |failures| {
        judged(&[
            ("known", 2.0),
            ("lost/control-plane", failures),
            ("service lost", 0.0),
        ])
    };
    let service = |failures| judged(&[("known", 2.0), ("service lost", failures)]);
    for (way, named) in [
        (
            &node as &dyn Fn(f64) -> Health,
            "node worker-1 does not reach node control-plane",
        ),
        (
            &service,
            "node worker-1 does not reach Service kube-system/cilium-health",
        ),
    ] {
        assert!(way(2.0).is_healthy(), "{}", way(2.0).message);
        let broken = way(3.0);
        assert_eq!(broken.state, State::Degraded);
        assert!(broken.message.starts_with(named), "{}", broken.message);
    }
}

#[test]
fn a_node_whose_agent_is_not_ready_is_missed_by_nobody() {
    let mut observed = says(&[
        ("known", 2.0),
        ("lost/control-plane", 9.0),
        ("new/ghost", 9.0),
        ("service lost", 0.0),
    ]);
    observed.pods[0].ready = false;
    let health = CiliumAgent.health(&input(), &observed);
    assert!(health.is_healthy(), "{}", health.message);
}

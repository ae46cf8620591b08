use super::*;
use crate::component::tests::{answered, input, input_of, running};
use crate::{ProbeResult, State};

#[test]
fn all_pods_answering_is_healthy() {
    let mut observed = running(&WORKLOAD, 2);
    observed.probes.extend(leading("a"));
    assert_eq!(
        CiliumOperator.health(&input(), &observed).state,
        State::Healthy
    );
}

/// What the two replicas say of whom has the Lease.
fn leading(leader: &str) -> [ProbeResult; 2] {
    ["a", "b"].map(|pod| {
        let target = format!("kube-system/cilium-operator-{pod}");
        let leads = f64::from(u8::from(pod == leader));
        answered(METRICS, &target, &[(LEADER, leads)])
    })
}

#[test]
fn replicas_that_all_wait_for_the_lease_are_not_healthy_yet_and_take_nothing_away() {
    let mut observed = running(&WORKLOAD, 2);
    observed.probes.extend(leading("b"));
    assert!(CiliumOperator.health(&input(), &observed).is_healthy());
    observed.probes = leading("").into();
    let health = CiliumOperator.health(&input(), &observed);
    assert_eq!(
        (health.state, health.stands),
        (State::Progressing, true),
        "{}",
        health.message
    );
    let lease = "kube-system/cilium-operator-resource-lock";
    assert!(health.message.contains(lease), "{}", health.message);
}

#[test]
fn a_cilium_node_without_pod_cidr_is_named() {
    let mut observed = running(&WORKLOAD, 2);
    observed.probes.extend(leading("a"));
    observed.cilium_nodes.insert("worker-9".to_owned(), vec![]);
    let health = CiliumOperator.health(&input(), &observed);
    assert_eq!(health.state, State::Progressing);
    assert!(health.message.contains("worker-9"), "{}", health.message);
}

#[test]
fn a_disruption_budget_exists_only_for_several_replicas() {
    let kinds = |replicas: u16| {
        let input = input_of(|spec| spec.cilium.operator.replicas = replicas);
        let objects = CiliumOperator.objects(&input).unwrap();
        objects
            .iter()
            .filter(|object| object.types.as_ref().unwrap().kind == "PodDisruptionBudget")
            .count()
    };
    assert_eq!((kinds(1), kinds(2)), (0, 1));
}

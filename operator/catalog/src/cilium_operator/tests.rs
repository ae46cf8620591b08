use super::*;
use crate::State;
use crate::component::tests::{answered, input, input_of, running};

#[test]
fn all_pods_answering_is_healthy() {
    let mut observed = running(&WORKLOAD, 2);
    observed
        .probes
        .push(answered(METRICS, "kube-system/cilium-operator-a", &[]));
    assert_eq!(
        CiliumOperator.health(&input(), &observed).state,
        State::Healthy
    );
}

#[test]
fn a_cilium_node_without_pod_cidr_is_named() {
    let mut observed = running(&WORKLOAD, 2);
    observed
        .probes
        .push(answered(METRICS, "kube-system/cilium-operator-a", &[]));
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

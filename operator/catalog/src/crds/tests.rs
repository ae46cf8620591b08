use super::*;
use crate::State;
use crate::component::tests::{input, input_of, named};

fn all_established() -> Observed {
    let established_crds = objects::definitions()
        .filter_map(|crd| crd.metadata.name)
        .collect();
    Observed {
        established_crds,
        ..Observed::default()
    }
}

#[test]
fn all_definitions_established_is_healthy() {
    assert_eq!(health::judge(&all_established()).state, State::Healthy);
}

#[test]
fn a_definition_removed_by_hand_is_named() {
    let mut observed = all_established();
    observed
        .established_crds
        .retain(|name| name != "ciliumnodes.cilium.io");
    let health = health::judge(&observed);
    assert_eq!(health.state, State::Progressing);
    assert!(
        health.message.contains("ciliumnodes.cilium.io"),
        "{}",
        health.message
    );
}

#[test]
fn the_definitions_are_rendered_without_a_status() {
    for object in objects::all(&input()).unwrap() {
        assert!(
            object.data.get("status").is_none(),
            "{:?}",
            object.metadata.name
        );
    }
}

#[test]
fn the_namespace_enforces_the_strictest_standard_but_while_collectors_read_flows() {
    let enforced = |input: &Input| {
        let objects = objects::all(input).unwrap();
        let namespace = named(&objects, "Namespace", gloonet_api::MESH_NAMESPACE);
        let labels = namespace.metadata.labels.clone().unwrap();
        labels["pod-security.kubernetes.io/enforce"].clone()
    };
    assert_eq!(enforced(&input()), "restricted");
    let flows = input_of(|spec| {
        spec.telemetry.collectors.pipelines.logs_cilium_flows = gloonet_api::Switch::Enabled;
    });
    assert_eq!(enforced(&flows), "privileged");
}

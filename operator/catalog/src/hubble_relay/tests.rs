use gloonet_api::Switch;

use super::*;
use crate::State;
use crate::component::tests::{answered, failed, input, input_of, named, running};

const POD: &str = "kube-system/hubble-relay-a";

#[test]
fn a_relay_that_lacks_a_node_is_healthy_and_names_it() {
    let mut observed = running(&WORKLOAD, 1);
    observed.probes = vec![answered(NODES, POD, &[])];
    assert_eq!(
        HubbleRelay.health(&input(), &observed).state,
        State::Healthy
    );
    let trouble = "1 of 3 nodes not connected: worker-2: refused";
    observed.probes = vec![failed(NODES, POD, trouble)];
    observed.earlier = observed.probes.clone();
    let health = HubbleRelay.health(&input(), &observed);
    assert_eq!(health.state, State::Healthy);
    assert!(health.message.contains("worker-2"), "{}", health.message);
}

#[test]
fn without_hubble_or_switched_off_there_is_none() {
    assert!(input().hubble_relay());
    assert!(!input_of(|spec| spec.cilium.hubble.relay.state = Switch::Disabled).hubble_relay());
    assert!(!input_of(|spec| spec.cilium.hubble.state = Switch::Disabled).hubble_relay());
}

#[test]
fn it_asks_the_agent_of_its_own_node_which_nodes_there_are() {
    let objects = HubbleRelay.objects(&input()).unwrap();
    let spec = &named(&objects, "Service", "hubble-peer").data["spec"];
    assert_eq!(spec["internalTrafficPolicy"], "Local");
    assert_eq!(
        (&spec["ports"][0]["port"], &spec["ports"][0]["targetPort"]),
        (&443.into(), &4244.into())
    );
}

#[test]
fn its_clients_prove_who_they_are_and_it_has_no_token() {
    let objects = HubbleRelay.objects(&input()).unwrap();
    let pod = &named(&objects, "Deployment", "hubble-relay").data["spec"]["template"]["spec"];
    let arguments = pod["containers"][0]["args"].to_string();
    assert!(arguments.contains("--client-names=client.hubble-relay.cilium.io"));
    assert!(arguments.contains("--tls-relay-client-ca-files="));
    assert!(!arguments.contains("disable") && !arguments.contains("anonymous"));
    assert!(arguments.contains("--log-format=logfmt"));
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert!(!objects.iter().any(|object| {
        let kind = crate::component::tests::kind_of(object);
        kind.contains("Role")
    }));
}

use gloonet_api::{ManagementState, Switch};

use super::*;
use crate::State;
use crate::component::tests::{answered, failed, input, input_of, named, running};

const POD: &str = "gloo-mesh/gloo-insights-a";

#[test]
fn an_engine_that_does_not_run_is_degraded_and_says_why() {
    let mut observed = running(&WORKLOAD, 1);
    observed.probes = vec![answered(RUN, POD, &[])];
    assert_eq!(Insights.health(&input(), &observed).state, State::Healthy);
    observed.probes = vec![failed(RUN, POD, "the last run ended 90 s ago")];
    observed.earlier = observed.probes.clone();
    let health = Insights.health(&input(), &observed);
    assert_eq!(health.state, State::Degraded);
    assert!(health.message.contains("90 s ago"), "{}", health.message);
}

#[test]
fn insights_are_served_on_loopback_only() {
    let objects = Insights.objects(&input()).unwrap();
    let container = &named(&objects, "Deployment", "gloo-insights").data["spec"]["template"]["spec"]
        ["containers"][0];
    assert!(
        container["args"]
            .to_string()
            .contains("--api-address=127.0.0.1:9095")
    );
    assert!(!container["ports"].to_string().contains("9095"));
}

#[test]
fn without_what_it_reads_there_is_no_engine() {
    assert!(input().insights());
    assert!(!input_of(|spec| spec.telemetry.logs.state = Switch::Disabled).insights());
    let without = input_of(|spec| {
        spec.gloo.management_server.state = ManagementState::Removed;
        spec.gloo.agent.state = ManagementState::Removed;
    });
    assert!(!without.insights());
}

use super::*;
use crate::State;
use crate::component::tests::{answered, collector_accepts, input, input_of, named, running};

const POD: &str = "gloo-mesh/gloo-telemetry-gateway-0";

fn seen(refused: f64) -> Observed {
    let mut observed = running(&WORKLOAD, 1);
    observed.probes = vec![
        answered(ANSWERS, POD, &[]),
        answered(FLOW, POD, &[(ACCEPTED, 1000.0), (REFUSED, refused)]),
    ];
    observed
}

#[test]
fn an_answering_gateway_that_refuses_nothing_is_healthy() {
    let mut observed = seen(5.0);
    observed.earlier = seen(5.0).probes;
    assert_eq!(Gateway.health(&input(), &observed).state, State::Healthy);
}

#[test]
fn refusing_more_since_the_last_look_is_degraded() {
    let mut observed = seen(25.0);
    observed.earlier = seen(5.0).probes;
    let health = Gateway.health(&input(), &observed);
    assert_eq!(health.state, State::Degraded);
    assert!(health.message.contains("refused 20"), "{}", health.message);
}

#[test]
fn the_service_keeps_gloos_port_name() {
    let objects = Gateway.objects(&input()).unwrap();
    let ports = &named(&objects, "Service", "gloo-telemetry-gateway").data["spec"]["ports"];
    assert_eq!(
        (ports[0]["name"].as_str(), ports[0]["port"].as_u64()),
        (Some("otlp"), Some(4317))
    );
}

#[test]
fn more_replicas_bring_a_disruption_budget() {
    let input = input_of(|spec| spec.telemetry.gateway.replicas = 2);
    let objects = Gateway.objects(&input).unwrap();
    named(&objects, "PodDisruptionBudget", "gloo-telemetry-gateway");
}

#[test]
fn the_collector_program_accepts_the_rendered_file() {
    collector_accepts(&objects::configuration().unwrap());
}

mod flows;
mod scrape;

use super::*;
use crate::State;
use crate::component::tests::{answered, input, input_of, running};
use crate::otelcol::tests::{assert_names, collector_accepts, remote_write};

const POD: &str = "gloo-mesh/gloo-telemetry-collector-agent-0";

fn seen(sent: f64, failed: f64, queued: f64) -> Observed {
    let mut observed = running(&WORKLOAD, 1);
    let values = [
        (SENT, sent),
        (FAILED, failed),
        (QUEUED, queued),
        (QUEUE, 1000.0),
    ];
    observed.probes = vec![answered(ANSWERS, POD, &[]), answered(FLOW, POD, &values)];
    observed
}

#[test]
fn sending_without_loss_is_healthy() {
    assert_eq!(
        Collectors.health(&input(), &seen(500.0, 0.0, 3.0)).state,
        State::Healthy
    );
}

#[test]
fn a_collector_that_never_sent_is_not_healthy_and_is_named() {
    let health = Collectors.health(&input(), &seen(0.0, 0.0, 0.0));
    assert_eq!(health.state, State::Progressing);
    assert!(health.message.contains(POD), "{}", health.message);
}

#[test]
fn losing_points_or_a_full_queue_is_degraded() {
    let mut losing = seen(500.0, 40.0, 0.0);
    losing.earlier = seen(500.0, 10.0, 0.0).probes;
    let health = Collectors.health(&input(), &losing);
    assert_eq!(health.state, State::Degraded);
    assert!(
        health.message.contains("30 metric points"),
        "{}",
        health.message
    );
    assert_eq!(
        Collectors.health(&input(), &seen(500.0, 0.0, 950.0)).state,
        State::Degraded
    );
}

#[test]
fn the_first_loss_counts_although_its_counter_did_not_exist_before() {
    let mut observed = seen(500.0, 7.0, 0.0);
    observed.earlier = vec![answered(FLOW, POD, &[(SENT, 400.0)])];
    assert_eq!(
        Collectors.health(&input(), &observed).state,
        State::Degraded
    );
}

#[test]
fn the_collector_program_accepts_the_rendered_file() {
    collector_accepts(&[&objects::configuration(&input()).unwrap()]);
}

#[test]
fn the_collector_program_accepts_the_file_without_cilium() {
    let input = input_of(|spec| spec.cilium.state = gloonet_api::ManagementState::Removed);
    collector_accepts(&[&objects::configuration(&input).unwrap()]);
}

#[test]
fn a_cluster_name_reaches_the_resource_attribute() {
    assert!(
        objects::configuration(&input())
            .unwrap()
            .contains("value: \"west\"")
    );
}

#[test]
fn a_workload_cluster_sends_to_the_gateway_of_the_one_that_manages_with_the_token_its_agent_brings()
{
    let input = input_of(|spec| {
        spec.role = gloonet_api::Role::Workload;
        spec.gloo.agent.management_address = Some("192.0.2.2:9900".to_owned());
        spec.telemetry.collectors.gateway_address = Some("192.0.2.2:4320".to_owned());
    });
    let configuration = objects::configuration(&input).unwrap();
    assert!(configuration.contains("endpoint: 192.0.2.2:4320"));
    assert!(!configuration.contains("/etc/otel-certs/tls.key"));
    collector_accepts(&[&configuration]);
    let objects = Collectors.objects(&input).unwrap();
    let set = crate::component::tests::named(&objects, "DaemonSet", WORKLOAD.name);
    let volumes = set.data["spec"]["template"]["spec"]["volumes"].to_string();
    assert!(volumes.contains("gloo-telemetry-token-secret"), "{volumes}");
}

#[test]
fn every_name_of_the_configuration_is_one_that_users_may_not_take() {
    let input = input_of(|spec| {
        let pipelines = &mut spec.telemetry.collectors.pipelines;
        pipelines.metrics_otlp_relay = gloonet_api::Switch::Enabled;
        pipelines.metrics_cilium = gloonet_api::Switch::Enabled;
        pipelines.logs_cilium_flows = gloonet_api::Switch::Enabled;
    });
    assert_names(&NAMES, &objects::configuration(&input).unwrap());
}

#[test]
fn a_pipeline_that_is_off_is_not_in_the_file_and_silence_is_then_no_fault() {
    let input = input_of(|spec| {
        spec.telemetry.collectors.pipelines.metrics_ui = gloonet_api::Switch::Disabled;
    });
    let configuration = objects::configuration(&input).unwrap();
    assert!(!configuration.contains("metrics/ui:"), "{configuration}");
    collector_accepts(&[&configuration]);
    let mut silent = seen(0.0, 0.0, 0.0);
    silent.probes.truncate(1);
    assert_eq!(Collectors.health(&input, &silent).state, State::Healthy);
    assert!(
        Collectors
            .probes(&input)
            .iter()
            .all(|probe| probe.name != FLOW)
    );
}

#[test]
fn the_collector_program_accepts_a_remote_write_of_the_users() {
    let input = input_of(|spec| spec.telemetry.collectors.extra = remote_write());
    let configuration = objects::configuration(&input).unwrap();
    assert!(
        configuration.contains("exporters: [otlp, prometheusremotewrite/mine]"),
        "{configuration}"
    );
    let extra = crate::otelcol::extra_file(&input.spec.telemetry.collectors.extra).unwrap();
    collector_accepts(&[&configuration, &extra]);
}

#[test]
fn relayed_metrics_are_taken_from_any_pod_only_when_that_is_wanted() {
    let senders = |switch| {
        let input =
            input_of(|spec| spec.telemetry.collectors.pipelines.metrics_otlp_relay = switch);
        let objects = Collectors.objects(&input).unwrap();
        let policy = crate::component::tests::named(&objects, "NetworkPolicy", WORKLOAD.name);
        policy.data["spec"]["ingress"][0].get("from").is_some()
    };
    assert!(senders(gloonet_api::Switch::Disabled));
    assert!(!senders(gloonet_api::Switch::Enabled));
}

#[test]
fn the_collector_program_accepts_every_combination_of_pipelines() {
    use gloonet_api::Switch::{Disabled, Enabled};
    for number in 1..32_u8 {
        let input = input_of(|spec| {
            spec.gloo.analyzer.state = gloonet_api::ManagementState::Removed;
            let pipelines = &mut spec.telemetry.collectors.pipelines;
            let switches = [
                &mut pipelines.logs_analyzer,
                &mut pipelines.metrics_ui,
                &mut pipelines.metrics_cilium,
                &mut pipelines.metrics_otlp_relay,
                &mut pipelines.logs_cilium_flows,
            ];
            for (place, switch) in switches.into_iter().enumerate() {
                let on = number & (1 << place) != 0;
                *switch = if on { Enabled } else { Disabled };
            }
        });
        collector_accepts(&[&objects::configuration(&input).unwrap()]);
    }
}

use super::*;
use crate::State;
use crate::component::tests::{answered, failed, input, input_of, named, running};
use crate::otelcol::tests::{assert_names, collector_accepts, remote_write};
use gloonet_api::ManagementState;
use gloonet_api::redis::RedisMode;

const POD: &str = "gloo-mesh/gloo-telemetry-gateway-0";

/// What keeps something in Redis goes with it.
fn without_redis(spec: &mut gloonet_api::GlooNetworkSpec) {
    spec.redis.mode = RedisMode::Disabled;
    spec.gloo.management_server.state = ManagementState::Removed;
    spec.gloo.agent.state = ManagementState::Removed;
}

fn seen(refused: f64) -> Observed {
    let mut observed = running(&WORKLOAD, 1);
    observed.probes = vec![
        answered(ANSWERS, POD, &[]),
        answered(FLOW, POD, &[(ACCEPTED, 1000.0), (REFUSED, refused)]),
        answered(LOG, POD, &[]),
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
    collector_accepts(&[&objects::configuration(&input()).unwrap()]);
    let no_redis = input_of(without_redis);
    collector_accepts(&[&objects::configuration(&no_redis).unwrap()]);
}

#[test]
fn a_log_record_that_does_not_arrive_twice_in_a_row_is_degraded() {
    let lost = |mut observed: Observed| {
        observed.probes[2] = failed(LOG, POD, "it is not in Redis");
        observed
    };
    let mut observed = lost(seen(5.0));
    observed.earlier = seen(5.0).probes;
    assert_eq!(
        Gateway.health(&input(), &observed).state,
        State::Progressing
    );
    observed.earlier = lost(seen(5.0)).probes;
    let health = Gateway.health(&input(), &observed);
    assert_eq!(health.state, State::Degraded);
    assert!(
        health.message.contains("not in Redis"),
        "{}",
        health.message
    );
}

#[test]
fn without_redis_there_is_no_sidecar_and_no_way_for_logs() {
    let input = input_of(without_redis);
    let objects = Gateway.objects(&input).unwrap();
    let deployment = named(&objects, "Deployment", "gloo-telemetry-gateway");
    let containers = &deployment.data["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().map(Vec::len), Some(1));
    assert!(!objects::configuration(&input).unwrap().contains("logs/"));
    assert!(Gateway.probes(&input).iter().all(|probe| probe.name != LOG));
}

#[test]
fn an_external_redis_is_reached_with_its_own_secret_and_authority() {
    let mut input = input();
    input.spec.redis.mode = RedisMode::External;
    input.spec.redis.external = Some(gloonet_api::redis::ExternalRedis {
        address: "redis.example:6380".to_owned(),
        tls: gloonet_api::redis::ExternalTls {
            ca_secret: Some("my-ca".to_owned()),
            ..Default::default()
        },
        credentials_secret: Some("my-login".to_owned()),
    });
    let objects = Gateway.objects(&input).unwrap();
    let deployment = named(&objects, "Deployment", "gloo-telemetry-gateway");
    let text = deployment.data["spec"]["template"]["spec"].to_string();
    for wanted in [
        "--redis-address=redis.example:6380",
        "--redis-tls",
        "--redis-ca=/etc/redis-ca/ca.crt",
        "my-ca",
        "my-login",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn one_cluster_gets_half_of_our_redis_through_all_pods_of_the_gateway_together() {
    let share = |change: &dyn Fn(&mut gloonet_api::GlooNetworkSpec)| {
        let objects = Gateway.objects(&input_of(change)).unwrap();
        let deployment = named(&objects, "Deployment", "gloo-telemetry-gateway");
        let sink = &deployment.data["spec"]["template"]["spec"]["containers"][1]["args"];
        let arguments = sink.as_array().unwrap().iter();
        let mut words = arguments.filter_map(serde_json::Value::as_str);
        let bytes = words.find_map(|word| word.strip_prefix("--bytes-per-cluster="));
        bytes.map(|bytes| bytes.parse::<u64>().unwrap())
    };
    assert_eq!(share(&|_| {}), Some(64 << 20));
    let two = share(&|spec| spec.telemetry.gateway.replicas = 2);
    assert_eq!(two, Some(32 << 20));
}

#[test]
fn whose_telemetry_it_is_is_set_before_anything_is_put_together() {
    let configuration = objects::configuration(&input()).unwrap();
    for pipeline in [
        "metrics/prometheus",
        "metrics/clusters",
        "logs/redis_stream",
        "logs/clusters",
    ] {
        let (_, rest) = configuration
            .split_once(&format!("    {pipeline}:\n"))
            .unwrap();
        let processors = rest.lines().nth(1).unwrap().trim();
        assert!(
            processors.starts_with("processors: [memory_limiter, resource/"),
            "{pipeline}: {processors}"
        );
    }
    assert!(configuration.contains("from_context: auth.subject"));
}

#[test]
fn every_name_of_the_configuration_is_one_that_users_may_not_take() {
    assert_names(&NAMES, &objects::configuration(&input()).unwrap());
}

#[test]
fn the_metrics_of_every_cluster_go_to_a_remote_write_of_the_users_too() {
    let input = input_of(|spec| spec.telemetry.gateway.extra = remote_write());
    let configuration = objects::configuration(&input).unwrap();
    let fed = configuration.matches("exporters: [prometheus, prometheusremotewrite/mine]");
    assert_eq!(fed.count(), 2, "{configuration}");
    let extra = crate::otelcol::extra_file(&input.spec.telemetry.gateway.extra).unwrap();
    collector_accepts(&[&configuration, &extra]);
}

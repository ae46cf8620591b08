use gloonet_api::gloo::ServiceType;
use gloonet_api::redis::{ExternalRedis, RedisMode};
use serde_json::json;

use super::*;
use crate::State;
use crate::component::tests::{answered, failed, input, input_of, named, running};

fn arguments(objects: &[DynamicObject]) -> Vec<String> {
    let pod =
        &named(objects, "Deployment", "gloo-mesh-mgmt-server").data["spec"]["template"]["spec"];
    serde_json::from_value(pod["containers"][0]["args"].clone()).unwrap()
}

#[test]
fn a_server_whose_translation_fails_is_degraded_with_the_servers_words() {
    let mut observed = running(&WORKLOAD, 1);
    let pod = "gloo-mesh/gloo-mesh-mgmt-server-a";
    observed.probes = vec![answered(RELAY, pod, &[])];
    assert_eq!(
        ManagementServer.health(&input(), &observed).state,
        State::Healthy
    );
    observed.probes = vec![failed(RELAY, pod, "errors is set: workspace a/b")];
    observed.earlier = observed.probes.clone();
    let health = ManagementServer.health(&input(), &observed);
    assert_eq!(health.state, State::Degraded);
    assert!(
        health.message.contains("workspace a/b"),
        "{}",
        health.message
    );
}

#[test]
fn the_relay_is_the_only_port_open_to_everybody() {
    let objects = ManagementServer.objects(&input()).unwrap();
    let rules = &named(&objects, "NetworkPolicy", "gloo-mesh-mgmt-server").data["spec"]["ingress"];
    let open: Vec<_> = rules
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["from"].is_null())
        .map(|rule| rule["ports"].clone())
        .collect();
    assert_eq!(
        open,
        [serde_json::json!([{"protocol": "TCP", "port": 9900}])]
    );
}

#[test]
fn an_external_redis_is_reached_by_its_own_address_and_over_tls_where_it_says_so() {
    for (tls, scheme) in [
        (json!({"state": "Disabled"}), "redis"),
        (json!({"caSecret": "external-redis-ca"}), "rediss"),
    ] {
        let external: ExternalRedis =
            serde_json::from_value(json!({"address": "r.example:6380", "tls": tls})).unwrap();
        let input = input_of(|spec| {
            spec.redis.mode = RedisMode::External;
            spec.redis.external = Some(external);
        });
        let given = arguments(&ManagementServer.objects(&input).unwrap());
        let url = format!("--redis-url={scheme}://r.example:6380");
        assert!(given.contains(&url), "{given:?}");
        let credentials = |one: &String| one.starts_with("--redis-credentials");
        assert!(!given.iter().any(credentials), "{given:?}");
    }
}

#[test]
fn safe_mode_is_on_unless_it_is_switched_off() {
    let of = |state| {
        let input = input_of(|spec| spec.gloo.management_server.safe_mode = state);
        arguments(&ManagementServer.objects(&input).unwrap())
    };
    let off = "--safe-mode=false".to_owned();
    assert!(!of(gloonet_api::Switch::Enabled).contains(&off));
    assert!(of(gloonet_api::Switch::Disabled).contains(&off));
}

#[test]
fn the_service_is_of_the_wanted_type_and_several_pods_have_a_budget() {
    let input = input_of(|spec| {
        spec.gloo.management_server.service.type_ = ServiceType::LoadBalancer;
        spec.gloo.management_server.replicas = 2;
    });
    let objects = ManagementServer.objects(&input).unwrap();
    let service = named(&objects, "Service", "gloo-mesh-mgmt-server");
    assert_eq!(service.data["spec"]["type"], "LoadBalancer");
    named(&objects, "PodDisruptionBudget", "gloo-mesh-mgmt-server");
}

/// What it may take for clusters' objects follows from it.
#[test]
fn the_server_is_told_its_memory_limit_by_the_kubelet() {
    let objects = ManagementServer.objects(&input()).unwrap();
    let pod =
        &named(&objects, "Deployment", "gloo-mesh-mgmt-server").data["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["resources"]["limits"]["memory"], "1Gi");
    let told = container["env"].as_array().unwrap();
    let told = told.iter().find(|one| one["name"] == "MEMORY_LIMIT");
    let from = &told.unwrap()["valueFrom"]["resourceFieldRef"];
    assert_eq!(from["resource"], "limits.memory");
    assert_eq!(from["divisor"], "1");
}

use gloonet_api::{ManagementState, Role};
use serde_json::Value;

use super::*;
use crate::State;
use crate::component::tests::{answered, failed, input, input_of, kind_of, named, running};

const POD: &str = "gloo-mesh/gloo-mesh-agent-a";

fn workload() -> Input {
    input_of(|spec| {
        spec.role = Role::Workload;
        spec.telemetry.collectors.state = ManagementState::Removed;
        spec.gloo.agent.management_address = Some("172.30.0.10:9900".to_owned());
    })
}

fn rules() -> Vec<Value> {
    let objects = GlooAgent.objects(&input()).unwrap();
    objects
        .iter()
        .filter(|object| ["ClusterRole", "Role"].contains(&kind_of(object)))
        .flat_map(|object| object.data["rules"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn an_agent_that_is_not_connected_is_progressing_and_says_why() {
    let mut observed = running(&WORKLOAD, 1);
    observed.probes = vec![answered(RELAY, POD, &[])];
    let health = GlooAgent.health(&workload(), &observed);
    assert_eq!(health.state, State::Healthy);
    assert!(
        health.message.contains("172.30.0.10:9900"),
        "{}",
        health.message
    );
    observed.probes = vec![failed(RELAY, POD, "connected is not true: token expired")];
    observed.earlier = observed.probes.clone();
    let health = GlooAgent.health(&workload(), &observed);
    assert_eq!(health.state, State::Progressing);
    assert!(
        health.message.contains("token expired"),
        "{}",
        health.message
    );
}

#[test]
fn the_agent_of_the_management_cluster_speaks_with_its_own_server() {
    let of = |input: &Input| {
        let objects = GlooAgent.objects(input).unwrap();
        let pod =
            &named(&objects, "Deployment", "gloo-mesh-agent").data["spec"]["template"]["spec"];
        pod["containers"][0]["args"].to_string()
    };
    assert!(of(&input()).contains("--relay-address=gloo-mesh-mgmt-server.gloo-mesh.svc:9900"));
    assert!(of(&workload()).contains("--relay-address=172.30.0.10:9900"));
}

#[test]
fn secrets_are_read_by_name_only_and_none_is_listed() {
    let of_secrets: Vec<Value> = rules()
        .into_iter()
        .filter(|rule| rule["resources"].to_string().contains("secrets"))
        .collect();
    assert!(!of_secrets.is_empty());
    for rule in of_secrets {
        assert!(rule["resourceNames"].is_array(), "{rule}");
        assert!(!rule["verbs"].to_string().contains("list"), "{rule}");
    }
}

#[test]
fn only_cilium_network_policies_and_statuses_can_be_written_across_namespaces() {
    let objects = GlooAgent.objects(&input()).unwrap();
    let rules = &named(&objects, "ClusterRole", "gloo-mesh-agent").data["rules"];
    for rule in rules.as_array().unwrap() {
        let writes = ["create", "update", "patch", "delete"]
            .iter()
            .any(|verb| rule["verbs"].to_string().contains(verb));
        let resources: Vec<String> = serde_json::from_value(rule["resources"].clone()).unwrap();
        let harmless = |name: &String| name == "ciliumnetworkpolicies" || name.ends_with("/status");
        assert!(!writes || resources.iter().all(harmless), "{rule}");
    }
}

#[test]
fn admission_fails_closed_covers_deletes_and_names_this_cluster() {
    let objects = GlooAgent.objects(&input()).unwrap();
    let spec = &named(&objects, "ValidatingAdmissionPolicy", admission::NAME).data["spec"];
    assert_eq!(spec["failurePolicy"], "Fail");
    assert!(
        spec["matchConstraints"]["resourceRules"][0]["operations"]
            .to_string()
            .contains("DELETE")
    );
    let text = spec.to_string();
    assert!(
        text.contains("variables.now['relay.solo.io/cluster'] == 'west'"),
        "{text}"
    );
    assert!(
        text.contains("variables.before['relay.solo.io/cluster'] == 'west'"),
        "{text}"
    );
    for namespace in ["kube-system", "gloo-mesh", "gloonet-system"] {
        assert!(text.contains(&format!("'{namespace}'")), "{namespace}");
    }
}

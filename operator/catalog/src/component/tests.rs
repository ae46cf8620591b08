//! What the tests of all components share, and the tests that hold for every component.

mod outside;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use gloonet_api::{GlooNetworkSpec, ManagementState, Role, Switch};
use kube_core::DynamicObject;

use super::catalog;
use crate::labels::{COMPONENT_LABEL, MANAGED_BY_LABEL};
use crate::{
    ClusterFacts, ComponentId, Input, NodeFacts, Observed, ProbeOutcome, ProbeResult, SecretFacts,
    Workload, WorkloadRef, validate,
};

pub(crate) fn facts() -> ClusterFacts {
    let nodes = [
        ("control-plane", [172, 30, 0, 10]),
        ("worker-1", [172, 30, 0, 11]),
    ];
    ClusterFacts {
        operator_version: "0.1.0".to_owned(),
        api_server: Some(("172.30.0.10".to_owned(), 6443)),
        nodes: nodes
            .map(|(name, ip)| NodeFacts {
                name: name.to_owned(),
                internal_ips: vec![ip.into()],
                agent: true,
            })
            .to_vec(),
        service_cidrs: vec!["10.96.0.0/16".parse().unwrap()],
        storage_classes: BTreeSet::from(["fast".to_owned()]),
        secrets: BTreeMap::from([(
            "external-redis-ca".to_owned(),
            SecretFacts {
                keys: BTreeSet::from(["ca.crt".to_owned()]),
            },
        )]),
        ..ClusterFacts::default()
    }
}

pub(crate) fn input_of(change: impl FnOnce(&mut GlooNetworkSpec)) -> Input {
    let mut spec = GlooNetworkSpec::named("west");
    change(&mut spec);
    validate(&spec, &facts()).unwrap()
}

pub(crate) fn input() -> Input {
    input_of(|_| {})
}

/// Observed state in which one workload is fully up.
pub(crate) fn running(workload: &WorkloadRef, pods: i32) -> Observed {
    let workload = Workload {
        kind: workload.kind,
        namespace: workload.namespace.to_owned(),
        name: workload.name.to_owned(),
        generation: 1,
        observed_generation: 1,
        desired: pods,
        pods,
        updated: pods,
        ready: pods,
        available: pods,
        max_unavailable: 1,
    };
    Observed {
        workloads: vec![workload],
        ..Observed::default()
    }
}

pub(crate) fn answered(probe: &str, target: &str, values: &[(&str, f64)]) -> ProbeResult {
    let values: BTreeMap<String, f64> = values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect();
    ProbeResult {
        probe: probe.to_owned(),
        target: target.to_owned(),
        outcome: ProbeOutcome::Answered { values },
    }
}

pub(crate) fn failed(probe: &str, target: &str, reason: &str) -> ProbeResult {
    let outcome = ProbeOutcome::Failed {
        reason: reason.to_owned(),
    };
    ProbeResult {
        probe: probe.to_owned(),
        target: target.to_owned(),
        outcome,
    }
}

pub(crate) fn named<'a>(objects: &'a [DynamicObject], kind: &str, name: &str) -> &'a DynamicObject {
    objects
        .iter()
        .find(|object| kind_of(object) == kind && object.metadata.name.as_deref() == Some(name))
        .unwrap_or_else(|| panic!("no {kind} {name}"))
}

pub(crate) fn kind_of(object: &DynamicObject) -> &str {
    &object.types.as_ref().unwrap().kind
}

/// The program, or `None` when `GLOONET_SKIP_PROGRAMS` says that real programs are not wanted. Anything else fails the test.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("GLOONET_HOME").map(PathBuf::from);
    let home = home.or_else(|| {
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/gloonet"))
    });
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    folders.extend(home.map(|home| home.join("bin")));
    let found = folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() && std::env::var_os("GLOONET_SKIP_PROGRAMS").is_some() {
        eprintln!("skipped: {name} is not there and GLOONET_SKIP_PROGRAMS is set");
        return None;
    }
    Some(found.unwrap_or_else(|| {
        panic!("{name} is not there: run ./dev setup, or set GLOONET_SKIP_PROGRAMS to go without")
    }))
}

/// Runs the program to its end and fails with what it said.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        said(&output.stdout),
        said(&output.stderr)
    );
}

/// Compares with the committed file beside the component.
pub(crate) fn golden(name: &str, objects: &[DynamicObject]) {
    let documents: Vec<serde_json::Value> = objects
        .iter()
        .filter(|object| {
            !matches!(
                kind_of(object),
                "CustomResourceDefinition" | "ValidatingAdmissionPolicy"
            )
        })
        .map(|object| {
            let mut value = serde_json::to_value(object).unwrap();
            // Dashboards are long and are compared as files of their own.
            let data = value
                .get_mut("data")
                .and_then(serde_json::Value::as_object_mut)
                .into_iter()
                .flatten()
                .filter(|(key, _)| {
                    std::path::Path::new(key)
                        .extension()
                        .is_some_and(|end| end == "json")
                });
            data.for_each(|(_, text)| *text = serde_json::json!("(dashboards/)"));
            value
        })
        .collect();
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "../snapshots"}, {
        insta::assert_yaml_snapshot!(name, documents);
    });
}

/// Reads the object into Kubernetes' own type and back: a misspelt or misplaced field would be lost on the way.
pub(crate) fn lossless(object: &DynamicObject) {
    use k8s_openapi::api::{
        admissionregistration::v1 as admission, apps::v1 as apps, core::v1 as core,
        networking::v1 as net, policy::v1 as policy, rbac::v1 as rbac,
    };
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions;
    let check = match kind_of(object) {
        "ClusterRole" => through::<rbac::ClusterRole>,
        "ClusterRoleBinding" => through::<rbac::ClusterRoleBinding>,
        "ConfigMap" => through::<core::ConfigMap>,
        "CustomResourceDefinition" => through::<extensions::CustomResourceDefinition>,
        "DaemonSet" => through::<apps::DaemonSet>,
        "Deployment" => through::<apps::Deployment>,
        "Namespace" => through::<core::Namespace>,
        "NetworkPolicy" => through::<net::NetworkPolicy>,
        "PersistentVolumeClaim" => through::<core::PersistentVolumeClaim>,
        "PodDisruptionBudget" => through::<policy::PodDisruptionBudget>,
        "Role" => through::<rbac::Role>,
        "RoleBinding" => through::<rbac::RoleBinding>,
        "Service" => through::<core::Service>,
        "ServiceAccount" => through::<core::ServiceAccount>,
        "ValidatingAdmissionPolicy" => through::<admission::ValidatingAdmissionPolicy>,
        "ValidatingAdmissionPolicyBinding" => {
            through::<admission::ValidatingAdmissionPolicyBinding>
        }
        "KubernetesCluster" => through::<gloo_api::KubernetesCluster>,
        other => panic!("{other} has no type here"),
    };
    check(object);
}

fn through<T: serde::de::DeserializeOwned + serde::Serialize>(object: &DynamicObject) {
    let before = serde_json::to_value(object).unwrap();
    let typed: T = serde_json::from_value(before.clone())
        .unwrap_or_else(|error| panic!("{:?}: {error}", object.metadata.name));
    let after = serde_json::to_value(&typed).unwrap();
    let mut lost = Vec::new();
    missing("", &before, &after, &mut lost);
    assert!(
        lost.is_empty(),
        "{} {:?} has fields Kubernetes does not know: {lost:?}",
        kind_of(object),
        object.metadata.name
    );
}

fn missing(
    path: &str,
    before: &serde_json::Value,
    after: &serde_json::Value,
    lost: &mut Vec<String>,
) {
    use serde_json::Value::{Array, Object};
    match (before, after) {
        (Object(before), Object(after)) => {
            for (key, value) in before {
                match after.get(key) {
                    Some(other) => missing(&format!("{path}.{key}"), value, other, lost),
                    None => lost.push(format!("{path}.{key}")),
                }
            }
        }
        (Array(before), Array(after)) if before.len() == after.len() => {
            for (index, (value, other)) in before.iter().zip(after).enumerate() {
                missing(&format!("{path}[{index}]"), value, other, lost);
            }
        }
        _ if before == after => {}
        _ => lost.push(path.to_owned()),
    }
}

/// Inputs that together switch every branch of the catalog.
pub(crate) fn variants() -> Vec<(&'static str, Input)> {
    vec![
        ("default", input()),
        (
            "persistent",
            input_of(|spec| {
                spec.redis.managed.persistence.state = Switch::Enabled;
                spec.redis.managed.persistence.storage_class = Some("fast".to_owned());
                spec.prometheus.managed.storage.state = Switch::Enabled;
                spec.prometheus.managed.storage.storage_class = Some("fast".to_owned());
                spec.telemetry.gateway.replicas = 2;
                spec.gloo.management_server.replicas = 2;
                spec.images.pull_secrets = vec!["mirror".to_owned()];
                spec.images.registry = "mirror.example.org".to_owned();
            }),
        ),
        (
            "foreign-cni",
            input_of(|spec| spec.cilium.state = ManagementState::Removed),
        ),
        (
            "workload",
            input_of(|spec| {
                spec.role = Role::Workload;
                spec.telemetry.collectors.state = ManagementState::Removed;
                spec.gloo.agent.management_address = Some("relay.example.org:9900".to_owned());
            }),
        ),
    ]
}

/// Every object of every variant.
pub(crate) fn everything() -> Vec<DynamicObject> {
    let mut objects = Vec::new();
    for (_, input) in variants() {
        for component in catalog()
            .iter()
            .filter(|component| component.enabled(&input))
        {
            objects.extend(component.objects(&input).unwrap());
        }
    }
    objects
}

#[test]
fn what_each_component_renders_is_as_recorded() {
    for (variant, input) in variants() {
        for component in catalog()
            .iter()
            .filter(|component| component.enabled(&input))
        {
            let same = variant != "default"
                && component.objects(&input).unwrap() == component.objects(&self::input()).unwrap();
            if !same {
                golden(
                    &format!("{}-{variant}", component.id()),
                    &component.objects(&input).unwrap(),
                );
            }
        }
    }
}

#[test]
fn every_object_survives_kubernetes_own_types() {
    everything().iter().for_each(lossless);
}

#[test]
fn every_object_says_who_manages_it_and_which_component_it_belongs_to() {
    for component in catalog() {
        for object in component.objects(&input()).unwrap() {
            let labels = object.metadata.labels.clone().unwrap_or_default();
            assert_eq!(
                labels.get(MANAGED_BY_LABEL).map(String::as_str),
                Some("gloonet-operator")
            );
            assert_eq!(
                labels.get(COMPONENT_LABEL).map(String::as_str),
                Some(component.id().as_str())
            );
        }
    }
}

#[test]
fn network_policies_come_last() {
    for component in catalog() {
        let objects = component.objects(&input()).unwrap();
        let kinds: Vec<&str> = objects.iter().map(kind_of).collect();
        let first = kinds
            .iter()
            .position(|kind| *kind == "NetworkPolicy")
            .unwrap_or(kinds.len());
        assert!(
            kinds[first..].iter().all(|kind| *kind == "NetworkPolicy"),
            "{}: {kinds:?}",
            component.id()
        );
    }
}

#[test]
fn the_order_of_the_list_respects_what_each_needs_and_knows_no_circle() {
    let mut done: Vec<ComponentId> = Vec::new();
    for component in catalog() {
        for need in component.needs() {
            assert!(
                done.contains(need),
                "{} needs {need}, which comes later",
                component.id()
            );
        }
        done.push(component.id());
    }
}

#[test]
fn no_two_components_render_the_same_object() {
    let mut seen = BTreeSet::new();
    for component in catalog() {
        for object in component.objects(&input()).unwrap() {
            let key = (
                kind_of(&object).to_owned(),
                object.metadata.namespace.clone(),
                object.metadata.name.clone(),
            );
            assert!(seen.insert(key.clone()), "{key:?} twice");
        }
    }
}

#[test]
fn every_container_outside_the_agent_is_unprivileged_and_every_container_is_bounded() {
    for object in everything() {
        let Some(pod) = object.data.pointer("/spec/template/spec") else {
            continue;
        };
        let containers = ["containers", "initContainers"]
            .iter()
            .filter_map(|list| pod[*list].as_array())
            .flatten();
        for container in containers {
            let name = &container["name"];
            assert!(
                container["resources"]["limits"]["memory"].is_string(),
                "{name} has no memory limit"
            );
            assert!(
                container["resources"]["requests"]["cpu"].is_string(),
                "{name} has no CPU request"
            );
            let security = &container["securityContext"];
            assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
            assert!(!security.to_string().contains("SYS_RESOURCE"), "{name}");
            if object.metadata.name.as_deref() != Some("cilium") {
                assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
                assert!(security["capabilities"]["add"].is_null(), "{name}");
                assert!(!pod.to_string().contains("hostPath"), "{name}");
            }
        }
    }
}

#[test]
fn the_same_input_renders_the_same_objects() {
    for component in catalog() {
        assert_eq!(
            component.objects(&input()).unwrap(),
            component.objects(&input()).unwrap()
        );
    }
}

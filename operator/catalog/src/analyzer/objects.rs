use gloonet_api::MESH_NAMESPACE;
use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::{WORKLOAD, rbac};
use crate::object::{
    Builder, allow, container_security, http_probe, image, nodes, pod_security, pods, pull_secrets,
    requirements,
};
use crate::{
    ComponentId, ImageName, Input, RenderError, SecretKind, collectors, gateway, management_server,
    prometheus, trust,
};
use gloo_api::names::{
    ANALYZER_HEALTH_PORT, ANALYZER_STATS_PORT, CLIENT_TLS, RELAY_AUTHORITY, RELAY_PORT, ROOT,
};

const NAME: &str = WORKLOAD.name;
/// The user Gloo's own images run as.
const UID: u32 = 10101;
const CERTIFICATES: &str = "/etc/certificates";
const OTLP_TLS: &str = "/etc/otel-certs";

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::Analyzer, WORKLOAD.namespace);
    let mut objects = rbac::all(&builder)?;
    objects.push(deployment(&builder, input)?);
    let rules = json!([
        allow(
            &[ANALYZER_STATS_PORT],
            vec![pods(prometheus::WORKLOAD.name)]
        ),
        allow(&[ANALYZER_HEALTH_PORT], nodes(input)),
    ]);
    objects.push(builder.network_policy(NAME, rules, None)?);
    Ok(objects)
}

fn deployment(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let spec = json!({
        "replicas": 1,
        "selector": {"matchLabels": {"app": NAME}},
        // Two of them would say everything twice.
        "strategy": {"type": "Recreate"},
        "template": {"metadata": {"labels": builder.pod_labels(NAME)}, "spec": pod(input)},
    });
    builder.namespaced(("apps/v1", "Deployment"), NAME, json!({"spec": spec}))
}

fn pod(input: &Input) -> Value {
    let mut container = json!({
        "name": NAME,
        "command": ["/usr/bin/gloo-mesh-analyzer"],
        "args": arguments(input),
        "ports": [
            {"name": "stats", "containerPort": ANALYZER_STATS_PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": ANALYZER_HEALTH_PORT, "protocol": "TCP"},
        ],
        "startupProbe": http_probe("/healthz", "health", 2, 60),
        "livenessProbe": http_probe("/healthz", "health", 20, 6),
        "readinessProbe": http_probe("/healthz", "health", 5, 3),
        "resources": requirements(&input.spec.gloo.analyzer.resources),
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "otlp-tls", "mountPath": OTLP_TLS, "readOnly": true},
            {"name": "certificates", "mountPath": CERTIFICATES, "readOnly": true},
        ],
    });
    image(&mut container, &input.images, ImageName::GlooMeshAnalyzer);
    let mut pod = json!({
        "serviceAccountName": NAME,
        "enableServiceLinks": false,
        "securityContext": pod_security(UID),
        "containers": [container],
        "volumes": [
            {"name": "otlp-tls", "secret": {"secretName": trust::ANALYZER_TLS}},
            {"name": "certificates", "projected": {"sources": public(input)}},
        ],
    });
    pull_secrets(&mut pod, &input.images);
    pod
}

fn arguments(input: &Input) -> Vec<String> {
    let otlp = format!(
        "{}.{MESH_NAMESPACE}.svc:{}",
        collectors::SERVICE,
        collectors::OTLP
    );
    let mut arguments = vec![
        format!("--cluster-name={}", input.cluster_name()),
        format!("--interval={}", input.spec.gloo.analyzer.interval_seconds),
        format!("--otlp-address={otlp}"),
        format!("--otlp-server-name={}", trust::COLLECTOR_SERVER),
        format!("--otlp-tls={OTLP_TLS}"),
        format!("--certificates={CERTIFICATES}"),
        "--endpoint=kubernetes=kubernetes.default.svc:443,kubernetes.default.svc,/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
            .to_owned(),
        endpoint(
            "collector",
            &otlp,
            trust::COLLECTOR_SERVER,
            trust::COLLECTOR_SERVER_TLS,
        ),
    ];
    if input.gateway() {
        let service = gateway::WORKLOAD;
        let address = format!(
            "{}.{}.svc:{}",
            service.name,
            service.namespace,
            gateway::OTLP
        );
        arguments.push(endpoint(
            "gateway",
            &address,
            trust::GATEWAY_SERVER,
            trust::GATEWAY_TLS,
        ));
    }
    if input.management_server() {
        let service = management_server::WORKLOAD;
        let address = format!("{}.{}.svc:{RELAY_PORT}", service.name, service.namespace);
        arguments.push(endpoint("relay", &address, RELAY_AUTHORITY, ROOT));
    }
    if input.hubble() {
        let authority = authority(cilium_api::names::HUBBLE_CLIENT_CERTS);
        arguments.push(format!("--hubble-authority={authority}"));
    }
    arguments
}

/// `secret` has the authority that the endpoint's users know it by.
fn endpoint(name: &str, address: &str, server_name: &str, secret: &str) -> String {
    let authority = authority(secret);
    format!("--endpoint={name}={address},{server_name},{authority}")
}

fn authority(secret: &str) -> String {
    format!("{CERTIFICATES}/{MESH_NAMESPACE}/{secret}/ca.crt")
}

/// The public part of every certificate in this namespace. Keys stay where they are: no right to read Secrets is needed.
fn public(input: &Input) -> Vec<Value> {
    let mut sources = Vec::new();
    for spec in trust::secrets(input) {
        let keys: &[&str] = match &spec.kind {
            SecretKind::Leaf { .. } => &["tls.crt", "ca.crt"],
            SecretKind::Ca { .. } => &["tls.crt"],
            SecretKind::Root { .. } => &["ca.crt"],
            SecretKind::Vessel if spec.name == CLIENT_TLS => &["tls.crt", "ca.crt"],
            _ => continue,
        };
        if spec.namespace != MESH_NAMESPACE {
            continue;
        }
        let name = &spec.name;
        let items: Vec<Value> = keys
            .iter()
            .map(|key| json!({"key": key, "path": format!("{MESH_NAMESPACE}/{name}/{key}")}))
            .collect();
        sources.push(json!({"secret": {"name": name, "items": items, "optional": true}}));
    }
    sources
}

use cilium_api::names::{
    HUBBLE_CLIENT, HUBBLE_CLIENT_CERTS, HUBBLE_PEER, HUBBLE_PORT, HUBBLE_RELAY_HEALTH_PORT,
    HUBBLE_RELAY_METRICS_PORT, HUBBLE_RELAY_PORT, HUBBLE_RELAY_SERVER_CERTS,
};
use gloonet_api::MESH_NAMESPACE;
use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::WORKLOAD;
use crate::labels::PART_OF;
use crate::object::{
    Builder, allow, container_security, http_probe, image, nodes, pod_security, pods, pull_secrets,
};
use crate::{ComponentId, ImageName, Input, RenderError, prometheus};

const NAME: &str = WORKLOAD.name;
const UID: u32 = 65532;
const PEER_PORT: u16 = 443;
const NODES_TLS: &str = "/var/lib/hubble-relay/tls/nodes";
const CLIENTS_TLS: &str = "/var/lib/hubble-relay/tls/clients";

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::HubbleRelay, WORKLOAD.namespace);
    let mut prometheus = pods(prometheus::WORKLOAD.name);
    prometheus["namespaceSelector"] =
        json!({"matchLabels": {"kubernetes.io/metadata.name": MESH_NAMESPACE}});
    let rules = json!([
        // From anywhere: a client proves by its certificate that it may see flows.
        {"ports": [{"protocol": "TCP", "port": HUBBLE_RELAY_PORT}]},
        allow(&[HUBBLE_RELAY_METRICS_PORT], vec![prometheus]),
        allow(&[HUBBLE_RELAY_HEALTH_PORT], nodes(input)),
    ]);
    Ok(vec![
        builder.service_account(NAME, false)?,
        peers(&builder)?,
        // Upstream's port without TLS and the one with it: charts and clients know either. TLS is spoken at both.
        builder.service(NAME, &[("http", 80, "grpc"), ("https", 443, "grpc")])?,
        deployment(&builder, input)?,
        builder.network_policy(NAME, rules, None)?,
    ])
}

/// The agent on the relay's own node: it is there whenever the relay has a network.
fn peers(builder: &Builder) -> Result<DynamicObject, RenderError> {
    let spec = json!({
        "type": "ClusterIP",
        "internalTrafficPolicy": "Local",
        "selector": {"k8s-app": "cilium"},
        "ports": [{"name": "peer-service", "port": PEER_PORT, "targetPort": HUBBLE_PORT, "protocol": "TCP"}],
    });
    builder.namespaced(("v1", "Service"), HUBBLE_PEER, json!({"spec": spec}))
}

fn deployment(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let mut labels = builder.pod_labels(NAME);
    // Upstream's label, by which its tools find the pods.
    labels["k8s-app"] = json!(NAME);
    labels[PART_OF.0] = json!(PART_OF.1);
    let spec = json!({
        "replicas": 1,
        "selector": {"matchLabels": {"app": NAME}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": {"labels": labels}, "spec": pod(input)},
    });
    builder.namespaced(("apps/v1", "Deployment"), NAME, json!({"spec": spec}))
}

fn pod(input: &Input) -> Value {
    let mut container = container(input);
    image(&mut container, &input.images, ImageName::HubbleRelay);
    let mut pod = json!({
        "serviceAccountName": NAME,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": pod_security(UID),
        "containers": [container],
        "volumes": [
            {"name": "nodes-tls", "secret": {"secretName": HUBBLE_CLIENT_CERTS}},
            {"name": "clients-tls", "secret": {"secretName": HUBBLE_RELAY_SERVER_CERTS}},
        ],
    });
    pull_secrets(&mut pod, &input.images);
    pod
}

fn container(input: &Input) -> Value {
    json!({
        "name": NAME,
        "command": ["/usr/bin/hubble-relay"],
        "args": arguments(input),
        "ports": [
            {"name": "grpc", "containerPort": HUBBLE_RELAY_PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": HUBBLE_RELAY_HEALTH_PORT, "protocol": "TCP"},
            {"name": "prometheus", "containerPort": HUBBLE_RELAY_METRICS_PORT, "protocol": "TCP"},
        ],
        "startupProbe": http_probe("/healthz", "health", 2, 60),
        "livenessProbe": http_probe("/healthz", "health", 20, 6),
        "readinessProbe": http_probe("/readyz", "health", 5, 3),
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "384Mi"}},
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "nodes-tls", "mountPath": NODES_TLS, "readOnly": true},
            {"name": "clients-tls", "mountPath": CLIENTS_TLS, "readOnly": true},
        ],
    })
}

fn arguments(input: &Input) -> Vec<String> {
    let namespace = WORKLOAD.namespace;
    vec![
        format!("--peer-service={HUBBLE_PEER}.{namespace}.svc:{PEER_PORT}"),
        format!("--cluster-name={}", input.cluster_name()),
        format!("--listen-address=:{HUBBLE_RELAY_PORT}"),
        format!("--health-listen-address=:{HUBBLE_RELAY_HEALTH_PORT}"),
        format!("--metrics-listen-address=:{HUBBLE_RELAY_METRICS_PORT}"),
        format!("--tls-hubble-client-cert-file={NODES_TLS}/tls.crt"),
        format!("--tls-hubble-client-key-file={NODES_TLS}/tls.key"),
        format!("--tls-hubble-server-ca-files={NODES_TLS}/ca.crt"),
        format!("--tls-relay-server-cert-file={CLIENTS_TLS}/tls.crt"),
        format!("--tls-relay-server-key-file={CLIENTS_TLS}/tls.key"),
        format!("--tls-relay-client-ca-files={CLIENTS_TLS}/ca.crt"),
        // What judges the logs of Cilium's parts reads this form only.
        "--log-format=logfmt".to_owned(),
        // The authority vouches for collectors, too; flows are not for them.
        format!("--client-names={HUBBLE_CLIENT}"),
    ]
}

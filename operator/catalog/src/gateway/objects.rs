use gloonet_api::gloo::ServiceType;
use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::{
    CLUSTERS, EXPORTER, HEALTH, OTLP, SELF_METRICS, SINK_METRICS, SINK_OTLP, WORKLOAD, sink,
};
use gloo_api::names::{TELEMETRY_AUDIENCE, TELEMETRY_ISSUER, TELEMETRY_KEY};

use crate::labels::CONFIG_DIGEST;
use crate::object::{
    Builder, allow, container_security, http_probe, image, nodes, pod_security, pods, pull_secrets,
    requirements, spread,
};
use crate::{ComponentId, ImageName, Input, RenderError, otelcol, prometheus, template, trust};

const NAME: &str = WORKLOAD.name;
const CONFIG_MAP: &str = "gloo-telemetry-gateway-config";
/// The user upstream's image is built for.
pub(crate) const UID: u32 = 10001;

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::Gateway, WORKLOAD.namespace);
    let replicas = input.spec.telemetry.gateway.replicas;
    let extra = &input.spec.telemetry.gateway.extra;
    let (config_map, digest) =
        otelcol::config_map(&builder, CONFIG_MAP, &configuration(input)?, extra)?;
    let mut objects = vec![
        builder.service_account(NAME, false)?,
        config_map,
        deployment(&builder, input, replicas, &digest)?,
        service(&builder, input)?,
    ];
    objects.extend(builder.disruption_budget(NAME, WORKLOAD.pod_label, replicas)?);
    objects.push(policy(&builder, input)?);
    Ok(objects)
}

pub(super) fn configuration(input: &Input) -> Result<String, RenderError> {
    let values = json!({
        "otlp": OTLP, "exporter": EXPORTER, "selfMetrics": SELF_METRICS, "health": HEALTH,
        "logs": input.logs(), "sink": SINK_OTLP,
        "cluster": input.cluster_name(),
        "clusters": input.telemetry_tokens().then_some(CLUSTERS),
        "issuer": TELEMETRY_ISSUER, "audience": TELEMETRY_AUDIENCE,
        "queueFolder": otelcol::QUEUE_FOLDER, "queueBytes": otelcol::QUEUE_BYTES,
        "also": otelcol::also(&input.spec.telemetry.gateway.extra),
    });
    template::render("gateway.yaml", include_str!("gateway.yaml.hbs"), &values)
}

fn service(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let kind = input.spec.telemetry.gateway.service.type_;
    let mut ports = vec![("otlp", OTLP, "otlp")];
    // All clusters' metrics are no business of the outside.
    ports.extend((kind == ServiceType::ClusterIP).then_some(("metrics", EXPORTER, "metrics")));
    ports.extend(
        input
            .telemetry_tokens()
            .then_some(("otlp-clusters", CLUSTERS, "otlp-clusters")),
    );
    let mut service = builder.service(NAME, &ports)?;
    service.data["spec"]["type"] = json!(kind.as_str());
    Ok(service)
}

fn deployment(
    builder: &Builder,
    input: &Input,
    replicas: u16,
    digest: &str,
) -> Result<DynamicObject, RenderError> {
    let mut labels = builder.pod_labels(NAME);
    labels["app.kubernetes.io/name"] = json!("telemetryGateway");
    let spec = json!({
        "replicas": replicas,
        "selector": {"matchLabels": {"app": NAME}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": {"labels": labels, "annotations": {CONFIG_DIGEST: digest}}, "spec": pod(input)},
    });
    builder.namespaced(("apps/v1", "Deployment"), NAME, json!({"spec": spec}))
}

fn pod(input: &Input) -> Value {
    let mut container = json!({
        "name": NAME,
        "command": ["/otelcol-contrib"],
        "ports": [
            {"name": "otlp", "containerPort": OTLP, "protocol": "TCP"},
            {"name": "metrics", "containerPort": EXPORTER, "protocol": "TCP"},
            {"name": "self-metrics", "containerPort": SELF_METRICS, "protocol": "TCP"},
            {"name": "health", "containerPort": HEALTH, "protocol": "TCP"},
        ],
        "startupProbe": http_probe("/", "health", 2, 60),
        "livenessProbe": http_probe("/", "health", 20, 6),
        "readinessProbe": http_probe("/", "health", 5, 3),
        "resources": requirements(&input.spec.telemetry.gateway.resources),
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "config", "mountPath": "/conf", "readOnly": true},
            {"name": "certificates", "mountPath": "/etc/otel-certs", "readOnly": true},
        ],
    });
    image(&mut container, &input.images, ImageName::OtelCollector);
    let mut pod = json!({
        "serviceAccountName": NAME,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": pod_security(UID),
        "topologySpreadConstraints": spread(NAME),
        "containers": [container],
        "volumes": [
            {"name": "config", "configMap": {"name": CONFIG_MAP}},
            {"name": "certificates", "secret": {"secretName": trust::GATEWAY_TLS}},
        ],
    });
    if input.telemetry_tokens() {
        take_clusters(&mut pod);
    }
    otelcol::complete(&mut pod, &input.spec.telemetry.gateway.extra);
    sink::add(input, &mut pod);
    pull_secrets(&mut pod, &input.images);
    pod
}

/// The port of other clusters, and the public keys of their tokens; the private one stays with the management server.
fn take_clusters(pod: &mut Value) {
    let container = &mut pod["containers"][0];
    if let Some(ports) = container["ports"].as_array_mut() {
        ports.push(json!({"name": "otlp-clusters", "containerPort": CLUSTERS, "protocol": "TCP"}));
    }
    if let Some(mounts) = container["volumeMounts"].as_array_mut() {
        mounts.push(json!({"name": "token-keys", "mountPath": "/etc/otel-keys", "readOnly": true}));
    }
    if let Some(volumes) = pod["volumes"].as_array_mut() {
        let items = json!([{"key": "jwks.json", "path": "jwks.json"}]);
        volumes.push(
            json!({"name": "token-keys", "secret": {"secretName": TELEMETRY_KEY, "items": items}}),
        );
    }
}

fn policy(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let prometheus = || pods(prometheus::WORKLOAD.name);
    let mut watchers = nodes(input);
    watchers.push(prometheus());
    let mut watched = vec![SELF_METRICS, HEALTH];
    watched.extend(input.logs().then_some(SINK_METRICS));
    // Who may send is decided by the client certificate or, from other clusters, by the token.
    let mut open = vec![json!({"protocol": "TCP", "port": OTLP})];
    if input.telemetry_tokens() {
        open.push(json!({"protocol": "TCP", "port": CLUSTERS}));
    }
    let rules = json!([
        {"ports": open},
        allow(&[EXPORTER], vec![prometheus()]),
        allow(&watched, watchers),
    ]);
    builder.network_policy(NAME, rules, None)
}

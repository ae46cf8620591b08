use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::{HEALTH, METRICS_UI, OTLP, SELF_METRICS, SERVICE, WORKLOAD, flows};
use gloo_api::names::TELEMETRY_TOKEN;

use crate::gateway::{self, objects::UID};
use crate::labels::CONFIG_DIGEST;
use crate::object::{
    Builder, allow, container_security, from_field, http_probe, image, nodes, pod_security, pods,
    pull_secrets, requirements,
};
use crate::{
    ComponentId, ImageName, Input, RenderError, analyzer, otelcol, prometheus, template, trust,
};

const NAME: &str = WORKLOAD.name;
const CONFIG_MAP: &str = "gloo-telemetry-collector-config";

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::Collectors, WORKLOAD.namespace);
    let extra = &input.spec.telemetry.collectors.extra;
    let (config_map, digest) =
        otelcol::config_map(&builder, CONFIG_MAP, &configuration(input)?, extra)?;
    Ok(vec![
        builder.service_account(NAME, false)?,
        config_map,
        daemonset(&builder, input, &digest)?,
        service(&builder)?,
        policy(&builder, input)?,
    ])
}

pub(super) fn configuration(input: &Input) -> Result<String, RenderError> {
    let (service, remote) = (gateway::WORKLOAD, input.remote_gateway());
    let collectors = &input.spec.telemetry.collectors;
    let values = json!({
        "cluster": input.cluster_name(),
        "cilium": input.cilium(),
        "ciliumMetrics": cilium_api::names::AGENT_METRICS_PORT,
        "gateway": remote.map_or_else(
            || format!("{}.{}.svc:{}", service.name, service.namespace, gateway::OTLP),
            str::to_owned,
        ),
        "remote": remote.is_some(),
        "serverName": trust::GATEWAY_SERVER,
        "otlp": OTLP,
        "selfMetrics": SELF_METRICS,
        "health": HEALTH,
        "queueFolder": otelcol::QUEUE_FOLDER,
        "queueBytes": otelcol::QUEUE_BYTES,
        "logsAnalyzer": collectors.pipelines.logs_analyzer.is_enabled(),
        "metricsUi": collectors.pipelines.metrics_ui.is_enabled(),
        "metricsCilium": collectors.pipelines.metrics_cilium.is_enabled(),
        "minimum": METRICS_UI,
        "flows": input.flows().then(flows::files),
        "metricsOtlpRelay": collectors.pipelines.metrics_otlp_relay.is_enabled(),
        "also": otelcol::also(&collectors.extra),
    });
    template::render(
        "collector.yaml",
        include_str!("collector.yaml.hbs"),
        &values,
    )
}

fn daemonset(builder: &Builder, input: &Input, digest: &str) -> Result<DynamicObject, RenderError> {
    let mut labels = builder.pod_labels(NAME);
    labels["app.kubernetes.io/name"] = json!("telemetryCollector");
    let spec = json!({
        "selector": {"matchLabels": {"app": NAME}},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
        "template": {"metadata": {"labels": labels, "annotations": {CONFIG_DIGEST: digest}}, "spec": pod(input)},
    });
    builder.namespaced(("apps/v1", "DaemonSet"), NAME, json!({"spec": spec}))
}

/// What they show the gateway, as volume and mount. Of another cluster's gateway: the pods wait until the agent has brought it.
fn shown(input: &Input) -> (Value, Value) {
    if input.remote_gateway().is_none() {
        return (
            json!({"name": "certificates", "secret": {"secretName": trust::COLLECTOR_TLS}}),
            json!({"name": "certificates", "mountPath": "/etc/otel-certs", "readOnly": true}),
        );
    }
    let items = ["token", "ca.crt"].map(|key| json!({"key": key, "path": key}));
    (
        json!({"name": "token", "secret": {"secretName": TELEMETRY_TOKEN, "items": items}}),
        json!({"name": "token", "mountPath": "/etc/otel-token", "readOnly": true}),
    )
}

fn pod(input: &Input) -> Value {
    let shown = shown(input);
    let mut container = json!({
        "name": NAME,
        "command": ["/otelcol-contrib"],
        "env": [from_field("NODE_IP", "status.hostIP"), from_field("NODE_NAME", "spec.nodeName")],
        "ports": [
            {"name": "otlp", "containerPort": OTLP, "protocol": "TCP"},
            {"name": "self-metrics", "containerPort": SELF_METRICS, "protocol": "TCP"},
            {"name": "health", "containerPort": HEALTH, "protocol": "TCP"},
        ],
        "startupProbe": http_probe("/", "health", 2, 60),
        "livenessProbe": http_probe("/", "health", 20, 6),
        "readinessProbe": http_probe("/", "health", 5, 3),
        "resources": requirements(&input.spec.telemetry.collectors.resources),
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "config", "mountPath": "/conf", "readOnly": true},
            shown.1,
            {"name": "server-certificates", "mountPath": "/etc/otel-server-certs", "readOnly": true},
        ],
    });
    image(&mut container, &input.images, ImageName::OtelCollector);
    let mut pod = json!({
        "serviceAccountName": NAME,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "securityContext": pod_security(UID),
        "containers": [container],
        "volumes": [
            {"name": "config", "configMap": {"name": CONFIG_MAP}},
            shown.0,
            {"name": "server-certificates", "secret": {"secretName": trust::COLLECTOR_SERVER_TLS}},
        ],
    });
    if input.flows() {
        flows::mount(&mut pod);
    }
    otelcol::complete(&mut pod, &input.spec.telemetry.collectors.extra);
    pull_secrets(&mut pod, &input.images);
    pod
}

fn policy(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let mut watchers = nodes(input);
    watchers.push(pods(prometheus::WORKLOAD.name));
    let relays = input.spec.telemetry.collectors.pipelines.metrics_otlp_relay;
    let senders = if relays.is_enabled() {
        // Who may send is decided by the client certificate.
        json!({"ports": [{"protocol": "TCP", "port": OTLP}]})
    } else {
        allow(&[OTLP], vec![pods(analyzer::WORKLOAD.name)])
    };
    let rules = json!([senders, allow(&[SELF_METRICS, HEALTH], watchers),]);
    builder.network_policy(NAME, rules, None)
}

/// Any collector of the cluster will do.
fn service(builder: &Builder) -> Result<DynamicObject, RenderError> {
    let spec = json!({
        "type": "ClusterIP",
        "selector": {"app": NAME},
        "ports": [{"name": "otlp", "port": OTLP, "targetPort": "otlp", "protocol": "TCP"}],
    });
    builder.namespaced(("v1", "Service"), SERVICE, json!({"spec": spec}))
}

use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::{EXPORTER, HEALTH, OTLP, SELF_METRICS, SINK_METRICS, SINK_OTLP, WORKLOAD, sink};
use crate::labels::CONFIG_DIGEST;
use crate::object::{
    Builder, allow, container_security, digest, http_probe, image, nodes, pod_security, pods,
    pull_secrets, requirements, spread,
};
use crate::{ComponentId, ImageName, Input, RenderError, prometheus, template, trust};

const NAME: &str = WORKLOAD.name;
const CONFIG_MAP: &str = "gloo-telemetry-gateway-config";
/// The user upstream's image is built for.
pub(crate) const UID: u32 = 10001;

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::Gateway, WORKLOAD.namespace);
    let replicas = input.spec.telemetry.gateway.replicas;
    let configuration = configuration(input)?;
    let mut objects = vec![
        builder.service_account(NAME, false)?,
        builder.config_map(CONFIG_MAP, &[("relay.yaml", &configuration)])?,
        deployment(&builder, input, replicas, &digest(&[&configuration]))?,
        builder.service(
            NAME,
            &[("otlp", OTLP, "otlp"), ("metrics", EXPORTER, "metrics")],
        )?,
    ];
    objects.extend(builder.disruption_budget(NAME, WORKLOAD.pod_label, replicas)?);
    objects.push(policy(&builder, input)?);
    Ok(objects)
}

pub(super) fn configuration(input: &Input) -> Result<String, RenderError> {
    let values = json!({
        "otlp": OTLP, "exporter": EXPORTER, "selfMetrics": SELF_METRICS, "health": HEALTH,
        "logs": input.logs(), "sink": SINK_OTLP,
    });
    template::render("gateway.yaml", include_str!("gateway.yaml.hbs"), &values)
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
        "args": ["--config=/conf/relay.yaml"],
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
    sink::add(input, &mut pod);
    pull_secrets(&mut pod, &input.images);
    pod
}

fn policy(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let prometheus = || pods(prometheus::WORKLOAD.name);
    let mut watchers = nodes(input);
    watchers.push(prometheus());
    let mut watched = vec![SELF_METRICS, HEALTH];
    watched.extend(input.logs().then_some(SINK_METRICS));
    // 4317 is open to other clusters too: who may send is decided by the client certificate.
    let rules = json!([
        {"ports": [{"protocol": "TCP", "port": OTLP}]},
        allow(&[EXPORTER], vec![prometheus()]),
        allow(&watched, watchers),
    ]);
    builder.network_policy(NAME, rules, None)
}

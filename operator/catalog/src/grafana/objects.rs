use gloonet_api::MESH_NAMESPACE;
use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::{DATASOURCE_UID, PORT, WORKLOAD, shown};
use crate::labels::CONFIG_DIGEST;
use crate::object::{
    Builder, allow, container_security, digest, http_probe, image, nodes, pod_security, pods,
    pull_secrets, requirements,
};
use crate::{ComponentId, ImageName, Input, RenderError, dashboards, prometheus, template, trust};

const NAME: &str = WORKLOAD.name;
const PROVISIONING: &str = "grafana-provisioning";
const DASHBOARDS_PATH: &str = "/etc/grafana/dashboards";
/// The user upstream's image is built for.
const UID: u32 = 472;

const BUILDER: Builder = Builder::new(ComponentId::Grafana, MESH_NAMESPACE);

pub(super) fn dashboards_only() -> Result<Vec<DynamicObject>, RenderError> {
    dashboards::OPERANDS
        .iter()
        .map(|dashboard| dashboards::config_map(&BUILDER, dashboard, MESH_NAMESPACE))
        .collect()
}

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let (datasources, providers) = provisioning(input)?;
    let mut objects = vec![BUILDER.service_account(NAME, false)?];
    objects.extend(dashboards_only()?);
    let files = [
        ("datasources.yaml", datasources.as_str()),
        ("dashboards.yaml", providers.as_str()),
    ];
    objects.push(BUILDER.config_map(PROVISIONING, &files)?);
    let mut texts = vec![datasources.as_str(), providers.as_str()];
    texts.extend(shown().map(|dashboard| dashboard.json));
    objects.push(deployment(input, &digest(&texts))?);
    objects.push(BUILDER.service(NAME, &[("http", 3000, "http")])?);
    objects.push(policy(input)?);
    Ok(objects)
}

/// The data source file and the dashboard provider file.
pub(super) fn provisioning(input: &Input) -> Result<(String, String), RenderError> {
    let values = json!({"uid": DATASOURCE_UID, "url": prometheus::url(input).unwrap_or_default(), "path": DASHBOARDS_PATH});
    let datasources = template::render(
        "datasources.yaml",
        include_str!("datasources.yaml.hbs"),
        &values,
    )?;
    let providers = template::render(
        "dashboards.yaml",
        include_str!("dashboards.yaml.hbs"),
        &values,
    )?;
    Ok((datasources, providers))
}

fn deployment(input: &Input, digest: &str) -> Result<DynamicObject, RenderError> {
    let spec = json!({
        "replicas": 1,
        "selector": {"matchLabels": {"app": NAME}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": BUILDER.pod_labels(NAME), "annotations": {CONFIG_DIGEST: digest}},
            "spec": pod(input),
        },
    });
    BUILDER.namespaced(("apps/v1", "Deployment"), NAME, json!({"spec": spec}))
}

fn pod(input: &Input) -> Value {
    let mut container = container(input);
    image(&mut container, &input.images, ImageName::Grafana);
    let sources: Vec<Value> = shown()
        .map(|dashboard| json!({"configMap": {"name": dashboard.config_map}}))
        .collect();
    let provisioning = json!([
        {"key": "datasources.yaml", "path": "datasources/datasources.yaml"},
        {"key": "dashboards.yaml", "path": "dashboards/dashboards.yaml"},
    ]);
    let mut pod = json!({
        "serviceAccountName": NAME,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": pod_security(UID),
        "containers": [container],
        "volumes": [
            {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
            {"name": "admin", "secret": {"secretName": trust::GRAFANA_ADMIN}},
            {"name": "provisioning", "configMap": {"name": PROVISIONING, "items": provisioning}},
            {"name": "dashboards", "projected": {"sources": sources}},
        ],
    });
    pull_secrets(&mut pod, &input.images);
    pod
}

fn container(input: &Input) -> Value {
    json!({
        "name": "grafana",
        "env": [
            {"name": "GF_SECURITY_ADMIN_USER", "valueFrom": {"secretKeyRef": {"name": trust::GRAFANA_ADMIN, "key": "username"}}},
            {"name": "GF_SECURITY_ADMIN_PASSWORD__FILE", "value": "/etc/grafana/admin/password"},
            {"name": "GF_PATHS_PROVISIONING", "value": "/etc/grafana/provisioning"},
            {"name": "GF_PATHS_DATA", "value": "/var/lib/grafana"},
            {"name": "GF_LOG_MODE", "value": "console"},
            {"name": "GF_ANALYTICS_REPORTING_ENABLED", "value": "false"},
            {"name": "GF_ANALYTICS_CHECK_FOR_UPDATES", "value": "false"},
            {"name": "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "value": "false"},
            {"name": "GF_PLUGINS_PREINSTALL_DISABLED", "value": "true"},
            {"name": "GF_USERS_ALLOW_SIGN_UP", "value": "false"},
            {"name": "GF_AUTH_ANONYMOUS_ENABLED", "value": "false"},
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "startupProbe": http_probe("/api/health", "http", 2, 90),
        "livenessProbe": http_probe("/api/health", "http", 20, 6),
        "readinessProbe": http_probe("/api/health", "http", 5, 3),
        "resources": requirements(&input.spec.grafana.managed.resources),
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/grafana"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "admin", "mountPath": "/etc/grafana/admin", "readOnly": true},
            {"name": "provisioning", "mountPath": "/etc/grafana/provisioning", "readOnly": true},
            {"name": "dashboards", "mountPath": DASHBOARDS_PATH, "readOnly": true},
        ],
    })
}

fn policy(input: &Input) -> Result<DynamicObject, RenderError> {
    let mut peers = nodes(input);
    peers.push(pods("gloo-mesh-ui"));
    BUILDER.network_policy(NAME, json!([allow(&[PORT], peers)]), None)
}

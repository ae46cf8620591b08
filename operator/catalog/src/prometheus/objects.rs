use kube_core::DynamicObject;
use serde_json::{Map, Value, json};

use super::{PORT, WORKLOAD, config};
use crate::labels::CONFIG_DIGEST;
use crate::object::{
    Builder, allow, container_security, digest, http_probe, image, nodes, pod_security, pods,
    pull_secrets, requirements,
};
use crate::storage;
use crate::{ComponentId, ImageName, Input, RenderError};

const NAME: &str = WORKLOAD.name;
const CONFIG_MAP: &str = "prometheus-server";
const CLAIM: &str = "prometheus-server-data";
/// `nobody` of upstream's image.
const UID: u32 = 65534;

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::Prometheus, WORKLOAD.namespace);
    let configuration = config::configuration(input)?;
    let mut objects = vec![builder.service_account(NAME, false)?];
    objects.extend(discovery(input)?);
    objects.push(builder.config_map(
        CONFIG_MAP,
        &[
            ("prometheus.yml", &configuration),
            ("alerts.yaml", config::ALERTS),
        ],
    )?);
    objects.extend(storage::claim(
        &builder,
        CLAIM,
        &input.spec.prometheus.managed.storage,
    )?);
    objects.push(deployment(
        &builder,
        input,
        &digest(&[&configuration, config::ALERTS]),
    )?);
    objects.push(builder.service(NAME, &[("http", 80, "http")])?);
    objects.push(policy(&builder, input)?);
    Ok(objects)
}

/// One headless Service per scrape job. Unready pods are listed too: what cannot be scraped shall be seen as down.
fn discovery(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    config::jobs(input)
        .iter()
        .map(|job| {
            let builder = Builder::new(ComponentId::Prometheus, job.workload.namespace);
            let (label, value) = job.workload.pod_label;
            let selector = Map::from_iter([(label.to_owned(), json!(value))]);
            let spec = json!({
                "type": "ClusterIP", "clusterIP": "None", "publishNotReadyAddresses": true, "selector": selector,
                "ports": [{"name": "metrics", "port": job.port, "targetPort": job.port, "protocol": "TCP"}],
            });
            builder.namespaced(("v1", "Service"), &job.service(), json!({"spec": spec}))
        })
        .collect()
}

fn deployment(
    builder: &Builder,
    input: &Input,
    digest: &str,
) -> Result<DynamicObject, RenderError> {
    let spec = json!({
        "replicas": 1,
        "selector": {"matchLabels": {"app": NAME}},
        // Two servers on one database would lock each other out.
        "strategy": {"type": "Recreate"},
        "template": {
            "metadata": {"labels": builder.pod_labels(NAME), "annotations": {CONFIG_DIGEST: digest}},
            "spec": pod(input),
        },
    });
    builder.namespaced(("apps/v1", "Deployment"), NAME, json!({"spec": spec}))
}

fn pod(input: &Input) -> Value {
    let data = storage::volume(&input.spec.prometheus.managed.storage, CLAIM);
    let mut container = container(input);
    image(&mut container, &input.images, ImageName::Prometheus);
    let mut pod = json!({
        "serviceAccountName": NAME,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 60,
        "securityContext": pod_security(UID),
        "containers": [container],
        "volumes": [data, {"name": "config", "configMap": {"name": CONFIG_MAP}}],
    });
    pull_secrets(&mut pod, &input.images);
    pod
}

fn container(input: &Input) -> Value {
    let managed = &input.spec.prometheus.managed;
    json!({
        "name": "prometheus-server",
        "command": ["/bin/prometheus"],
        "args": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            format!("--storage.tsdb.retention.time={}", managed.retention),
            format!("--web.listen-address=:{PORT}"),
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "startupProbe": http_probe("/-/ready", "http", 2, 150),
        "livenessProbe": http_probe("/-/healthy", "http", 20, 6),
        "readinessProbe": http_probe("/-/ready", "http", 5, 3),
        "resources": requirements(&managed.resources),
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/prometheus", "readOnly": true},
            {"name": "data", "mountPath": "/prometheus"},
        ],
    })
}

fn policy(builder: &Builder, input: &Input) -> Result<DynamicObject, RenderError> {
    let mut peers = nodes(input);
    peers.extend(
        [
            "grafana",
            "gloo-mesh-ui",
            "gloo-insights",
            gloo_api::names::MANAGEMENT_SERVER,
            NAME,
        ]
        .map(pods),
    );
    builder.network_policy(NAME, json!([allow(&[PORT], peers)]), None)
}

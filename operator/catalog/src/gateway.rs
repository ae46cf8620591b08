//! The OpenTelemetry gateway: takes OTLP over mutual TLS, offers the metrics to Prometheus.
//!
//! Owns Deployment, Service and configuration of `gloo-telemetry-gateway`. Ports: 4317 OTLP gRPC (client certificate of the
//! operator's authority; this cluster's collectors), 4320 OTLP gRPC (token of the management server; other clusters' collectors), 9091 relayed metrics, 8888 own metrics, 13133 health. Where there is a Redis, the sidecar `redis-sink`
//! takes log records over loopback (4319) and keeps them there; 13134 its metrics and health.

mod health;
mod logs;
pub(crate) mod objects;
mod sink;

use kube_core::DynamicObject;

use crate::otelcol::Names;
use crate::{
    Component, ComponentId, Health, HttpCheck, Input, Observed, PodSelector, Probe, ProbeKind,
    ProbeTarget, RenderError, WorkloadKind, WorkloadRef,
};

pub(crate) const OTLP: u16 = 4317;
/// OTLP of other clusters' collectors.
pub(crate) const CLUSTERS: u16 = 4320;
pub(crate) const EXPORTER: u16 = 9091;
pub(crate) const SELF_METRICS: u16 = 8888;
pub(crate) const HEALTH: u16 = 13133;
/// Where the sidecar takes log records, on loopback.
const SINK_OTLP: u16 = 4319;
pub(crate) const SINK_METRICS: u16 = 13134;
const ANSWERS: &str = "health";
const FLOW: &str = "flow";
const LOG: &str = "log";
/// Collector metrics that tell refused from accepted.
const REFUSED: &str = "otelcol_receiver_refused_metric_points";
const ACCEPTED: &str = "otelcol_receiver_accepted_metric_points";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: gloonet_api::MESH_NAMESPACE,
    name: "gloo-telemetry-gateway",
    pod_label: ("app", "gloo-telemetry-gateway"),
};

/// What the users' own parts may not be called.
pub(crate) const NAMES: Names = Names {
    receivers: &["otlp", "otlp/clusters"],
    processors: &["resource/home", "resource/clusters", "memory_limiter"],
    exporters: &["otlp/redis", "prometheus"],
    pipelines: &[
        "metrics/prometheus",
        "metrics/clusters",
        "logs/redis_stream",
        "logs/clusters",
    ],
};

#[derive(Debug)]
pub(crate) struct Gateway;

impl Component for Gateway {
    fn id(&self) -> ComponentId {
        ComponentId::Gateway
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[
            ComponentId::Trust,
            ComponentId::CiliumAgent,
            ComponentId::Redis,
            ComponentId::Prometheus,
        ]
    }

    fn enabled(&self, input: &Input) -> bool {
        input.gateway()
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        objects::all(input)
    }

    fn probes(&self, input: &Input) -> Vec<Probe> {
        let pods = |port| {
            ProbeTarget::EachPod(PodSelector::new(
                WORKLOAD.namespace,
                WORKLOAD.pod_label,
                port,
            ))
        };
        let metrics = vec![ACCEPTED.to_owned(), REFUSED.to_owned()];
        let mut probes = vec![
            Probe {
                name: ANSWERS.to_owned(),
                target: pods(HEALTH),
                kind: ProbeKind::Http(HttpCheck::path("/")),
            },
            Probe {
                name: FLOW.to_owned(),
                target: pods(SELF_METRICS),
                kind: ProbeKind::MetricSums {
                    path: "/metrics".to_owned(),
                    metrics,
                },
            },
        ];
        probes.extend(logs::probe(input, pods(OTLP)));
        probes
    }

    fn health(&self, input: &Input, observed: &Observed) -> Health {
        health::judge(input, observed)
    }
}

#[cfg(test)]
mod tests;

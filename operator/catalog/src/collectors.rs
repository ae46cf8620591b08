//! The OpenTelemetry collectors: one per node, scrape what runs there and send it to the gateway over mutual TLS.
//!
//! Owns DaemonSet and configuration of `gloo-telemetry-collector-agent`. Ports: 4317 OTLP from this cluster (client
//! certificate of the operator's authority), 8888 own metrics, 13133 health. While flows are collected it mounts the folder of the node
//! that agents write them to, for reading.

pub(crate) mod flows;
mod health;
mod minimum;
mod objects;

use kube_core::DynamicObject;

use crate::otelcol::Names;
use crate::{
    Component, ComponentId, Health, HttpCheck, Input, Observed, PodSelector, Probe, ProbeKind,
    ProbeTarget, RenderError, WorkloadKind, WorkloadRef,
};

pub use minimum::METRICS_UI;

pub(crate) const SELF_METRICS: u16 = 8888;
/// Where what runs in this cluster sends its logs.
pub(crate) const OTLP: u16 = 4317;
/// The Service before it.
pub(crate) const SERVICE: &str = "gloo-telemetry-collector";
const HEALTH: u16 = 13133;
const ANSWERS: &str = "health";
const FLOW: &str = "flow";
const SENT: &str = "otelcol_exporter_sent_metric_points";
const FAILED: &str = "otelcol_exporter_send_failed_metric_points";
const QUEUED: &str = "otelcol_exporter_queue_size";
const QUEUE: &str = "otelcol_exporter_queue_capacity";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::DaemonSet,
    namespace: gloonet_api::MESH_NAMESPACE,
    name: "gloo-telemetry-collector-agent",
    pod_label: ("app", "gloo-telemetry-collector-agent"),
};

/// What the users' own parts may not be called.
pub(crate) const NAMES: Names = Names {
    receivers: &["otlp", "prometheus", "file_log/cilium_flows"],
    processors: &[
        "memory_limiter",
        "resource/cluster_context",
        "filter/min",
        "filter/cilium",
    ],
    exporters: &["otlp"],
    pipelines: &[
        "metrics/ui",
        "metrics/cilium",
        "metrics/otlp_relay",
        "logs/analyzer",
        "logs/cilium_flows",
    ],
};

#[derive(Debug)]
pub(crate) struct Collectors;

impl Component for Collectors {
    fn id(&self) -> ComponentId {
        ComponentId::Collectors
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[ComponentId::Gateway]
    }

    fn enabled(&self, input: &Input) -> bool {
        input.collectors()
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
        let metrics = [SENT, FAILED, QUEUED, QUEUE].map(str::to_owned).to_vec();
        let mut probes = vec![Probe {
            name: ANSWERS.to_owned(),
            target: pods(HEALTH),
            kind: ProbeKind::Http(HttpCheck::path("/")),
        }];
        if sends_always(input) {
            probes.push(Probe {
                name: FLOW.to_owned(),
                target: pods(SELF_METRICS),
                kind: ProbeKind::MetricSums {
                    path: "/metrics".to_owned(),
                    metrics,
                },
            });
        }
        probes
    }

    fn health(&self, input: &Input, observed: &Observed) -> Health {
        health::judge(input, observed)
    }
}

/// With a pipeline of what is scraped every collector has something to send, and silence is a fault.
fn sends_always(input: &Input) -> bool {
    let pipelines = &input.spec.telemetry.collectors.pipelines;
    pipelines.metrics_ui.is_enabled() || pipelines.metrics_cilium.is_enabled()
}

#[cfg(test)]
mod tests;

//! The OpenTelemetry collectors: one per node, scrape what runs there and send it to the gateway over mutual TLS.
//!
//! Owns DaemonSet and configuration of `gloo-telemetry-collector-agent`. Ports: 4317 OTLP from this cluster (client
//! certificate of the operator's authority), 8888 own metrics, 13133 health.

mod health;
mod objects;

use kube_core::DynamicObject;

use crate::{
    Component, ComponentId, Health, HttpCheck, Input, Observed, PodSelector, Probe, ProbeKind,
    ProbeTarget, RenderError, WorkloadKind, WorkloadRef,
};

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

    fn probes(&self, _input: &Input) -> Vec<Probe> {
        let pods = |port| {
            ProbeTarget::EachPod(PodSelector::new(
                WORKLOAD.namespace,
                WORKLOAD.pod_label,
                port,
            ))
        };
        let metrics = [SENT, FAILED, QUEUED, QUEUE].map(str::to_owned).to_vec();
        vec![
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
        ]
    }

    fn health(&self, _input: &Input, observed: &Observed) -> Health {
        health::judge(observed)
    }
}

#[cfg(test)]
mod tests;

//! Prometheus: ours (`prometheus-server`), or one that is there already.
//!
//! Managed: owns a Deployment of one pod, its volume claim, Service, configuration, alert rules and one headless Service per scrape
//! job, through which it finds its targets by DNS. External: owns nothing, measures that it works. Port: 9090 behind Service port 80.

pub(crate) mod config;
mod health;
mod objects;

use gloonet_api::prometheus::PrometheusMode;
use kube_core::DynamicObject;

use crate::{
    Component, ComponentId, Health, HttpCheck, Input, Observed, PodSelector, Probe, ProbeKind,
    ProbeTarget, RenderError, WorkloadKind, WorkloadRef,
};

const PORT: u16 = 9090;
const READY: &str = "ready";
const JOBS_UP: &str = "jobs-up";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: gloonet_api::MESH_NAMESPACE,
    name: "prometheus-server",
    pod_label: ("app", "prometheus-server"),
};

#[derive(Debug)]
pub(crate) struct Prometheus;

impl Component for Prometheus {
    fn id(&self) -> ComponentId {
        ComponentId::Prometheus
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[
            ComponentId::Trust,
            ComponentId::CiliumAgent,
            ComponentId::CiliumOperator,
        ]
    }

    fn enabled(&self, input: &Input) -> bool {
        input.manages() && input.spec.prometheus.mode != PrometheusMode::Disabled
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        match input.spec.prometheus.mode {
            PrometheusMode::Managed => objects::all(input),
            PrometheusMode::External | PrometheusMode::Disabled => Ok(Vec::new()),
        }
    }

    fn probes(&self, input: &Input) -> Vec<Probe> {
        match (input.spec.prometheus.mode, &input.spec.prometheus.external) {
            (PrometheusMode::Managed, _) => {
                let pods = || {
                    ProbeTarget::EachPod(PodSelector::new(
                        WORKLOAD.namespace,
                        WORKLOAD.pod_label,
                        PORT,
                    ))
                };
                let jobs = config::jobs(input)
                    .into_iter()
                    .map(|job| job.name.to_owned())
                    .collect();
                vec![
                    Probe {
                        name: READY.to_owned(),
                        target: pods(),
                        kind: ProbeKind::Http(HttpCheck::path("/-/ready")),
                    },
                    Probe {
                        name: JOBS_UP.to_owned(),
                        target: pods(),
                        kind: ProbeKind::PrometheusJobsUp {
                            path: "/api/v1/query".to_owned(),
                            jobs,
                        },
                    },
                ]
            }
            (PrometheusMode::External, Some(external)) => {
                let target =
                    ProbeTarget::Address(external.address.trim_end_matches('/').to_owned());
                vec![Probe {
                    name: READY.to_owned(),
                    target,
                    kind: ProbeKind::Http(HttpCheck::path("/-/ready")),
                }]
            }
            (PrometheusMode::External | PrometheusMode::Disabled, _) => Vec::new(),
        }
    }

    fn health(&self, input: &Input, observed: &Observed) -> Health {
        health::judge(input, observed)
    }
}

/// URL under which Grafana reaches Prometheus; `None` when there is none.
pub(crate) fn url(input: &Input) -> Option<String> {
    match (input.spec.prometheus.mode, &input.spec.prometheus.external) {
        (PrometheusMode::Managed, _) => Some(format!(
            "http://{}.{}.svc:80",
            WORKLOAD.name, WORKLOAD.namespace
        )),
        (PrometheusMode::External, Some(external)) => Some(external.address.clone()),
        (PrometheusMode::External | PrometheusMode::Disabled, _) => None,
    }
}

#[cfg(test)]
mod tests;

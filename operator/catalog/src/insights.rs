//! The insights engine: says what to do about what analyzers, agents and Prometheus know of all clusters.
//!
//! Owns Deployment and rights of `gloo-insights`. Ports: 9094 metrics, 8093 health, 9095 insights on loopback.

mod health;
mod objects;

use kube_core::DynamicObject;

use crate::{
    Component, ComponentId, Health, Input, JsonCheck, Observed, PodSelector, Probe, ProbeKind,
    ProbeTarget, RenderError, WorkloadKind, WorkloadRef,
};

const RUN: &str = "run";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: gloonet_api::MESH_NAMESPACE,
    name: gloo_api::names::INSIGHTS,
    pod_label: ("app", gloo_api::names::INSIGHTS),
};

#[derive(Debug)]
pub(crate) struct Insights;

impl Component for Insights {
    fn id(&self) -> ComponentId {
        ComponentId::Insights
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[
            ComponentId::Trust,
            ComponentId::CiliumAgent,
            ComponentId::Redis,
            ComponentId::Prometheus,
            ComponentId::Gateway,
            ComponentId::ManagementServer,
        ]
    }

    fn enabled(&self, input: &Input) -> bool {
        input.insights()
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        objects::all(input)
    }

    fn probes(&self, _input: &Input) -> Vec<Probe> {
        let check = JsonCheck {
            path: "/run".to_owned(),
            set: vec!["/fresh".to_owned()],
            unset: vec!["/trouble".to_owned()],
            quote: vec!["/trouble".to_owned()],
        };
        vec![Probe {
            name: RUN.to_owned(),
            target: ProbeTarget::EachPod(PodSelector::new(
                WORKLOAD.namespace,
                WORKLOAD.pod_label,
                gloo_api::names::INSIGHTS_HEALTH_PORT,
            )),
            kind: ProbeKind::Json(check),
        }]
    }

    fn health(&self, _input: &Input, observed: &Observed) -> Health {
        health::judge(observed)
    }
}

#[cfg(test)]
mod tests;

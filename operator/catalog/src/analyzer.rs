//! The analyzer: looks at Cilium, certificates, images, nodes and policies of this cluster, and reports what it finds.
//!
//! Owns Deployment and rights of `gloo-analyzer`. Its reports go to the cluster's collector. Ports: 9092 metrics, 8092 health.

mod health;
mod objects;
mod rbac;

use kube_core::DynamicObject;

use crate::{
    Component, ComponentId, Health, Input, JsonCheck, Observed, PodSelector, Probe, ProbeKind,
    ProbeTarget, RenderError, WorkloadKind, WorkloadRef,
};

const RUNS: &str = "runs";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: gloonet_api::MESH_NAMESPACE,
    name: gloo_api::names::ANALYZER,
    pod_label: ("app", gloo_api::names::ANALYZER),
};

#[derive(Debug)]
pub(crate) struct Analyzer;

impl Component for Analyzer {
    fn id(&self) -> ComponentId {
        ComponentId::Analyzer
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[
            ComponentId::Trust,
            ComponentId::CiliumAgent,
            ComponentId::Collectors,
        ]
    }

    fn enabled(&self, input: &Input) -> bool {
        input.analyzer()
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        objects::all(input)
    }

    fn probes(&self, _input: &Input) -> Vec<Probe> {
        let check = JsonCheck {
            path: "/runs".to_owned(),
            set: vec!["/fresh".to_owned()],
            unset: vec!["/trouble".to_owned()],
            quote: vec!["/trouble".to_owned()],
        };
        vec![Probe {
            name: RUNS.to_owned(),
            target: ProbeTarget::EachPod(PodSelector::new(
                WORKLOAD.namespace,
                WORKLOAD.pod_label,
                gloo_api::names::ANALYZER_HEALTH_PORT,
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

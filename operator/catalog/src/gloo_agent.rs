//! The Gloo agent: tells the management server what is in this cluster, and applies here what it says.
//!
//! Owns Deployment, rights and admission policy of `gloo-mesh-agent`. It opens every connection itself. Ports: 9091 metrics,
//! 8090 health.

mod admission;
mod health;
mod objects;
pub(crate) mod rbac;

use kube_core::DynamicObject;

use crate::{
    Component, ComponentId, Health, Input, JsonCheck, Observed, PodSelector, Probe, ProbeKind,
    ProbeTarget, RenderError, WorkloadKind, WorkloadRef,
};

const RELAY: &str = "relay";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: gloonet_api::MESH_NAMESPACE,
    name: gloo_api::names::AGENT,
    pod_label: ("app", gloo_api::names::AGENT),
};

#[derive(Debug)]
pub(crate) struct GlooAgent;

impl Component for GlooAgent {
    fn id(&self) -> ComponentId {
        ComponentId::GlooAgent
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[
            ComponentId::Trust,
            ComponentId::CiliumAgent,
            ComponentId::ManagementServer,
        ]
    }

    fn enabled(&self, input: &Input) -> bool {
        input.gloo_agent()
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        objects::all(input)
    }

    fn probes(&self, _input: &Input) -> Vec<Probe> {
        let check = JsonCheck {
            path: "/relay".to_owned(),
            set: vec!["/connected".to_owned(), "/warmed".to_owned()],
            unset: Vec::new(),
            quote: vec!["/state".to_owned(), "/last_error".to_owned()],
        };
        vec![Probe {
            name: RELAY.to_owned(),
            target: ProbeTarget::EachPod(PodSelector::new(
                WORKLOAD.namespace,
                WORKLOAD.pod_label,
                gloo_api::names::AGENT_HEALTH_PORT,
            )),
            kind: ProbeKind::Json(check),
        }]
    }

    fn health(&self, input: &Input, observed: &Observed) -> Health {
        health::judge(input, observed)
    }
}

#[cfg(test)]
mod tests;

//! Hubble's relay: the flows of all nodes in one stream, for `hubble` and Hubble's UI.
//!
//! Owns Deployment and Service `hubble-relay`, and the Service `hubble-peer` in front of the agent on the same node, which tells it
//! of the nodes. It has no right at the API server. Ports: 4245 the API over mutual TLS, 4222 health, 9966 metrics.

mod health;
mod objects;

use kube_core::DynamicObject;

use crate::{
    Component, ComponentId, Health, Input, JsonCheck, Observed, PodSelector, Probe, ProbeKind,
    ProbeTarget, RenderError, WorkloadKind, WorkloadRef,
};

const NODES: &str = "nodes";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: cilium_api::names::NAMESPACE,
    name: cilium_api::names::HUBBLE_RELAY,
    pod_label: ("app", cilium_api::names::HUBBLE_RELAY),
};

#[derive(Debug)]
pub(crate) struct HubbleRelay;

impl Component for HubbleRelay {
    fn id(&self) -> ComponentId {
        ComponentId::HubbleRelay
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[ComponentId::Trust, ComponentId::CiliumAgent]
    }

    fn enabled(&self, input: &Input) -> bool {
        input.hubble_relay()
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        objects::all(input)
    }

    fn probes(&self, _input: &Input) -> Vec<Probe> {
        let check = JsonCheck {
            path: "/nodes".to_owned(),
            set: vec!["/complete".to_owned()],
            unset: Vec::new(),
            quote: vec!["/trouble".to_owned()],
        };
        vec![Probe {
            name: NODES.to_owned(),
            target: ProbeTarget::EachPod(PodSelector::new(
                WORKLOAD.namespace,
                WORKLOAD.pod_label,
                cilium_api::names::HUBBLE_RELAY_HEALTH_PORT,
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

//! The management server: takes snapshots of all clusters over the relay, computes what each shall be, pushes it.
//!
//! Owns Deployment, Service and rights of `gloo-mesh-mgmt-server`. Ports: 9900 relay (client certificate of the relay's
//! authority, or a one-time token), 9091 metrics and snapshots, 8091 health.

mod health;
pub(crate) mod objects;
mod rbac;

use kube_core::DynamicObject;

use crate::{
    Component, ComponentId, Health, Input, JsonCheck, Observed, PodSelector, Probe, ProbeKind,
    ProbeTarget, RenderError, WorkloadKind, WorkloadRef,
};

const RELAY: &str = "relay";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: gloonet_api::MESH_NAMESPACE,
    name: gloo_api::names::MANAGEMENT_SERVER,
    pod_label: ("app", gloo_api::names::MANAGEMENT_SERVER),
};

#[derive(Debug)]
pub(crate) struct ManagementServer;

impl Component for ManagementServer {
    fn id(&self) -> ComponentId {
        ComponentId::ManagementServer
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
        input.management_server()
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        objects::all(input)
    }

    fn probes(&self, _input: &Input) -> Vec<Probe> {
        let check = JsonCheck {
            path: "/relay".to_owned(),
            set: vec!["/translation".to_owned()],
            unset: vec!["/translation/errors".to_owned()],
            quote: vec!["/translation/errors".to_owned()],
        };
        vec![Probe {
            name: RELAY.to_owned(),
            target: ProbeTarget::EachPod(PodSelector::new(
                WORKLOAD.namespace,
                WORKLOAD.pod_label,
                gloo_api::names::SERVER_HEALTH_PORT,
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

//! The Cilium agent: one pod per node that carries the node's pods.
//!
//! Owns DaemonSet `cilium`, Service `cilium-health` by which agents try Services, its configuration, rights and the admission
//! policies that hold each agent to its own node. Never touches what agents write (CiliumNodes, CiliumEndpoints). Ports: 9879
//! health, 4240 between nodes, 9962 metrics, 10256 what load balancers ask of kube-proxy, 8472/UDP tunnel, if there is one.

mod carried;
mod daemonset;
mod health;
mod objects;
pub(crate) mod rbac;

use kube_core::DynamicObject;

use crate::{
    Component, ComponentId, Health, Input, Observed, PodSelector, Probe, ProbeKind, ProbeTarget,
    RenderError, WorkloadKind, WorkloadRef,
};

/// Answers whether every pod of the node has a working endpoint, and which nodes and Services it reaches.
const DATAPATH: &str = "datapath";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::DaemonSet,
    namespace: cilium_api::names::NAMESPACE,
    name: cilium_api::names::AGENT,
    pod_label: ("k8s-app", "cilium"),
};

#[derive(Debug)]
pub(crate) struct CiliumAgent;

impl Component for CiliumAgent {
    fn id(&self) -> ComponentId {
        ComponentId::CiliumAgent
    }

    /// Not the Cilium operator: the two wait for each other's objects, so they start together.
    fn needs(&self) -> &'static [ComponentId] {
        &[ComponentId::Crds, ComponentId::Trust]
    }

    fn enabled(&self, input: &Input) -> bool {
        input.cilium()
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        objects::all(input)
    }

    fn probes(&self, _input: &Input) -> Vec<Probe> {
        let port = cilium_api::names::AGENT_HEALTH_PORT;
        vec![Probe {
            name: DATAPATH.to_owned(),
            target: ProbeTarget::EachPod(PodSelector::new(
                WORKLOAD.namespace,
                WORKLOAD.pod_label,
                port,
            )),
            kind: ProbeKind::Carried {
                path: "/datapath".to_owned(),
            },
        }]
    }

    fn reads_cilium_nodes(&self) -> bool {
        true
    }

    fn health(&self, _input: &Input, observed: &Observed) -> Health {
        health::judge(observed)
    }
}

#[cfg(test)]
mod tests;

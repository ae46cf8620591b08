//! The Cilium operator: podCIDRs, identities, garbage collection, node readiness.
//!
//! Owns Deployment `cilium-operator` and its rights. Ports: 9234 health, 9963 metrics.

mod health;
mod objects;
mod rbac;

use kube_core::DynamicObject;

use crate::{
    Component, ComponentId, Health, Input, Observed, PodSelector, Probe, ProbeKind, ProbeTarget,
    RenderError, WorkloadKind, WorkloadRef,
};

const METRICS: &str = "metrics";
/// 1 at the replica that holds the Lease.
const LEADER: &str = "cilium_operator_leader";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: cilium_api::names::NAMESPACE,
    name: cilium_api::names::OPERATOR,
    pod_label: ("io.cilium/app", "operator"),
};

#[derive(Debug)]
pub(crate) struct CiliumOperator;

impl Component for CiliumOperator {
    fn id(&self) -> ComponentId {
        ComponentId::CiliumOperator
    }

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
        let port = cilium_api::names::OPERATOR_METRICS_PORT;
        vec![Probe {
            name: METRICS.to_owned(),
            target: ProbeTarget::EachPod(PodSelector::new(
                WORKLOAD.namespace,
                WORKLOAD.pod_label,
                port,
            )),
            kind: ProbeKind::MetricSums {
                path: "/metrics".to_owned(),
                metrics: vec![LEADER.to_owned()],
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

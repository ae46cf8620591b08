//! Redis: ours (`gloo-mesh-redis`), or one that is there already.
//!
//! Managed: owns a Deployment of one pod, its volume claim, Service and configuration; authentication by ACL, append-only file
//! on `/data`. External: owns nothing, measures that it works. Port: 6379.

mod health;
mod objects;
mod place;
mod probe;

pub(crate) use place::Place;
pub(crate) use probe::access;

use gloonet_api::redis::RedisMode;
use kube_core::DynamicObject;

use crate::{
    Component, ComponentId, Health, Input, Observed, Probe, RenderError, WorkloadKind, WorkloadRef,
};

const PORT: u16 = 6379;
const READ_WRITE: &str = "read-write";
pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: gloonet_api::MESH_NAMESPACE,
    name: "gloo-mesh-redis",
    pod_label: ("app", "gloo-mesh-redis"),
};

#[derive(Debug)]
pub(crate) struct Redis;

impl Component for Redis {
    fn id(&self) -> ComponentId {
        ComponentId::Redis
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[
            ComponentId::Trust,
            ComponentId::CiliumAgent,
            ComponentId::CiliumOperator,
        ]
    }

    fn enabled(&self, input: &Input) -> bool {
        input.manages() && input.spec.redis.mode != RedisMode::Disabled
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        match input.spec.redis.mode {
            RedisMode::Managed => objects::all(input),
            RedisMode::External | RedisMode::Disabled => Ok(Vec::new()),
        }
    }

    fn probes(&self, input: &Input) -> Vec<Probe> {
        probe::all(input)
    }

    fn health(&self, input: &Input, observed: &Observed) -> Health {
        health::judge(input, observed)
    }
}

#[cfg(test)]
mod tests;

//! The operator's own objects: what `bundle/install.yaml` and the OLM bundle are made of.
//!
//! Not a component of the catalog: whoever installs the operator applies these, and the operator never writes them.

mod deployment;
mod grants;
mod rbac;

use kube_core::DynamicObject;
use serde_json::json;

use crate::object::Builder;
use crate::{ImageResolver, ReleaseLock, RenderError, WorkloadKind, WorkloadRef, crds};

pub use rbac::{Rbac, rbac};

/// Listener for Prometheus, on every address of the node: `/metrics`.
pub const METRICS_PORT: u16 = 9464;
/// Listener for the kubelet, on every address of the node: `/healthz`, `/readyz`.
pub const HEALTH_PORT: u16 = 9465;
/// Optional ConfigMap in the operator's namespace with the keys `host` and `port`: the API server's address where there is no
/// service network yet. Without it the kubelet's own service variables are in force.
pub const API_SERVER_CONFIG_MAP: &str = "gloonet-api-server";
/// Lease that the leading replica holds.
pub const LEASE: &str = "gloonet-operator";

pub(crate) const WORKLOAD: WorkloadRef = WorkloadRef {
    kind: WorkloadKind::Deployment,
    namespace: gloonet_api::OPERATOR_NAMESPACE,
    name: "gloonet-operator",
    pod_label: ("app", "gloonet-operator"),
};
const NAME: &str = WORKLOAD.name;
const REPLICAS: u16 = 2;
const BUILDER: Builder = Builder::named("operator", WORKLOAD.namespace);

/// Everything the operator needs to run, in the order it is applied; the CustomResourceDefinition of GlooNetwork comes from its crate.
pub fn install_objects(
    lock: &ReleaseLock,
    images: &ImageResolver,
) -> Result<Vec<DynamicObject>, RenderError> {
    let mut objects = vec![
        namespace()?,
        crds::objects::namespace(&BUILDER, crds::objects::STRICT)?,
        BUILDER.service_account(NAME, true)?,
    ];
    objects.extend(rbac()?.objects(&BUILDER, NAME)?);
    objects.push(deployment::deployment(&BUILDER, lock, images)?);
    objects.extend(BUILDER.disruption_budget(NAME, WORKLOAD.pod_label, REPLICAS)?);
    objects.push(BUILDER.service("gloonet-operator", &[("metrics", METRICS_PORT, "metrics")])?);
    Ok(objects)
}

/// Host network is outside what the stricter Pod Security levels allow.
fn namespace() -> Result<DynamicObject, RenderError> {
    let labels = json!({"pod-security.kubernetes.io/enforce": "privileged", "pod-security.kubernetes.io/warn": "privileged"});
    BUILDER.object(
        ("v1", "Namespace"),
        json!({"name": WORKLOAD.namespace, "labels": labels}),
        json!({}),
    )
}

#[cfg(test)]
mod tests;

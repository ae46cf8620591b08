//! The `GlooNetwork` resource (`gloonetwork.io/v1alpha1`): one file per block of its specification, and its status.
//!
//! Everything here is data. Rules that one object can answer for itself live in the schema (CEL); rules that need the
//! cluster live in the catalog's validation.

#![expect(
    unreachable_pub,
    reason = "KubeSchema repeats each struct inside a function, public as written"
)]

pub mod cilium;
pub mod extra;
pub mod gloo;
pub mod gloonetwork;
pub mod grafana;
pub mod images;
pub mod pause;
pub mod prometheus;
pub mod redis;
pub mod resources;
pub mod status;
pub mod switch;
pub mod telemetry;
pub mod unknown;

pub use cilium::Cilium;
pub use gloo::Gloo;
pub use gloonetwork::{GlooNetwork, GlooNetworkSpec, Role, SINGLETON};
pub use grafana::Grafana;
pub use images::Images;
pub use pause::Pause;
pub use prometheus::Prometheus;
pub use redis::Redis;
pub use resources::Resources;
pub use status::GlooNetworkStatus;
pub use switch::{ManagementState, Switch};
pub use telemetry::Telemetry;

/// Label every object made by the operator carries, with [`MANAGED_BY`] as its value.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "gloonet-operator";
/// Label that says which component an object belongs to, for example `redis`.
pub const COMPONENT_LABEL: &str = "gloonetwork.io/component";
/// Finalizer on the `GlooNetwork` while there is something to uninstall.
pub const FINALIZER: &str = "gloonetwork.io/uninstall";
/// Annotation on the GlooNetwork: the routing mode that a running network may be changed to.
pub const CONFIRM_ROUTING_MODE: &str = "gloonetwork.io/confirm-routing-mode";
/// Namespace the operator itself runs in.
pub const OPERATOR_NAMESPACE: &str = "gloonet-system";
/// Namespace of the management plane and the telemetry.
pub const MESH_NAMESPACE: &str = "gloo-mesh";
/// Namespace of Cilium.
pub const CILIUM_NAMESPACE: &str = "kube-system";

#[cfg(test)]
mod tests;

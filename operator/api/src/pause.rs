//! Hands off, for a while, with a reason.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Stops writes by the operator until a time. Health is still measured and reported. When the time has passed the
/// operator warns and works again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Pause {
    /// When the pause ends (RFC 3339).
    pub until: Time,
    /// Why, for whoever looks next.
    #[schemars(length(min = 1, max = 512))]
    pub reason: String,
    /// Names of the components left alone. Empty: all of them.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub components: Vec<String>,
}

//! Envoy proxies, where there are any.

use serde::{Deserialize, Serialize};

use crate::PodState;

/// What was found about proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxies {
    pub proxies: Vec<Proxy>,
}

/// A pod that runs Envoy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    pub pod: PodState,
    pub image: String,
}

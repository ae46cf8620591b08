//! Hubble: whether flows are shown, to whom, and what stands around it.

use serde::{Deserialize, Serialize};

use crate::Counts;

/// What was found about Hubble.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hubble {
    pub enabled: bool,
    /// The agents' port, as configured; absent when they have only their socket.
    pub listen_address: Option<String>,
    pub tls_disabled: bool,
    /// Deployment `hubble-relay`; absent when there is none.
    pub relay: Option<Counts>,
    /// Deployment `hubble-ui`; absent when there is none.
    pub ui: Option<Counts>,
    pub services: Vec<Service>,
}

/// A Service in front of a part of Hubble.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    pub namespace: String,
    pub name: String,
    /// ClusterIP, NodePort, LoadBalancer.
    pub kind: String,
}

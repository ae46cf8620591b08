//! Which endpoint answers a client.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which endpoint answers a client of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// For traffic from outside the cluster. Random: each node chooses for itself. Maglev: by a hash of the client's address and port,
    /// so that every node chooses alike as long as it knows the same endpoints.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// With Maglev, slots of one table. A hundred times as many as a Service has endpoints spread well; a Service with more endpoints
    /// than slots is balanced at random.
    #[serde(default = "default_table_size")]
    #[schemars(extend("format" = "int32"))]
    #[schemars(extend("enum" = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131_071]))]
    pub maglev_table_size: u32,
}

/// How an endpoint is chosen for a client from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// Any of them, each time anew.
    #[default]
    Random,
    /// The same one on every node, and mostly the same one after a change of the others.
    Maglev,
}

fn default_table_size() -> u32 {
    16_381
}

impl Default for LoadBalancer {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            maglev_table_size: default_table_size(),
        }
    }
}

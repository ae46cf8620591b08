//! CPU and memory of one container.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Requests and limits of a component's main container. Given, they replace the defaults as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// What the scheduler reserves, for example `{cpu: 100m, memory: 128Mi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Quantity>,
    /// What the kernel enforces.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Quantity>,
}

impl Resources {
    /// The block in the form a container takes it.
    pub fn to_requirements(&self) -> ResourceRequirements {
        ResourceRequirements {
            claims: None,
            limits: (!self.limits.is_empty()).then(|| self.limits.clone()),
            requests: (!self.requests.is_empty()).then(|| self.requests.clone()),
        }
    }

    /// Default of a component: both requests, and a memory limit. No CPU limit: throttling a node agent or a gateway
    /// costs more than it protects.
    pub(crate) fn of(cpu: &str, memory: &str, memory_limit: &str) -> Self {
        let quantity = |text: &str| Quantity(text.to_owned());
        Self {
            requests: [
                ("cpu".to_owned(), quantity(cpu)),
                ("memory".to_owned(), quantity(memory)),
            ]
            .into(),
            limits: [("memory".to_owned(), quantity(memory_limit))].into(),
        }
    }
}

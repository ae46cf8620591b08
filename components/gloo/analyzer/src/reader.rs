//! What analyzers read from, and why they could not.

use std::sync::Arc;

use gloo_record::cilium_operator::Lease;
use k8s_openapi::api::{coordination::v1, core::v1::ConfigMap};
use kube::{Api, Client};

use crate::{
    agents::{Agents, Answer},
    args::Args,
    world::{ReadError, World},
};

/// Everything outside that an analyzer may look at.
pub struct Reader {
    pub world: World,
    pub agents: Agents,
    pub args: Args,
    client: Client,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reader")
            .field("world", &self.world)
            .finish_non_exhaustive()
    }
}

/// Why an analyzer found nothing.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{kind} {namespace}/{name} cannot be read")]
    Get {
        kind: &'static str,
        namespace: &'static str,
        name: String,
        source: kube::Error,
    },
    #[error("{0}")]
    Other(String),
}

impl Reader {
    pub fn new(client: Client, world: World, agents: Agents, args: Args) -> Self {
        Self {
            world,
            agents,
            args,
            client,
        }
    }

    /// What every agent answers.
    pub async fn answers(&self) -> Result<Arc<Vec<Answer>>, ReadError> {
        let pods = self.world.pods.all()?;
        Ok(self.agents.ask(&pods).await)
    }

    /// A lease; `None` when there is none.
    pub async fn lease(
        &self,
        namespace: &'static str,
        name: &str,
    ) -> Result<Option<Lease>, AnalyzeError> {
        let api: Api<v1::Lease> = Api::namespaced(self.client.clone(), namespace);
        let found = api.get_opt(name).await;
        let found = found.map_err(|source| AnalyzeError::Get {
            kind: "Lease",
            namespace,
            name: name.to_owned(),
            source,
        })?;
        Ok(found.map(|lease| {
            let spec = lease.spec.unwrap_or_default();
            Lease {
                name: name.to_owned(),
                holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
                renewed: spec.renew_time.map(|time| time.0),
                duration: spec.lease_duration_seconds,
            }
        }))
    }

    /// The ConfigMap `cilium-config`; `None` when there is none.
    pub async fn cilium_config(&self) -> Result<Option<ConfigMap>, AnalyzeError> {
        let (namespace, name) = ("kube-system", "cilium-config");
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        api.get_opt(name).await.map_err(|source| AnalyzeError::Get {
            kind: "ConfigMap",
            namespace,
            name: name.to_owned(),
            source,
        })
    }
}

//! One connection, and the parts that work with it. Who holds this needs no client of its own.

use std::{path::Path, sync::Arc};

use gloonet_api::{GlooNetwork, GlooNetworkStatus, OPERATOR_NAMESPACE};
use kube::Client;
use tokio::sync::mpsc;

use crate::{
    connect::{ConnectError, Meter, connect_prudently},
    election::Election,
    events::Events,
    eyes::Eyes,
    fault::Fault,
    hands::Hands,
    observe::{self, Listed},
    platform,
    prober::Prober,
};

/// A connection to one cluster.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: Client,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Cluster")
    }
}

impl Cluster {
    /// See [`connect()`](crate::connect()); who asks through this sees to failures itself.
    pub async fn connect(
        kubeconfig: Option<&Path>,
        meter: Arc<dyn Meter>,
    ) -> Result<Self, ConnectError> {
        Ok(Self {
            client: connect_prudently(kubeconfig, meter).await?,
        })
    }

    /// Around a client that exists already, for tests.
    pub fn with(client: Client) -> Self {
        Self { client }
    }

    /// Watches; the receiver gets a sentence for each change.
    pub fn eyes(&self) -> (Eyes, mpsc::Receiver<String>) {
        Eyes::new(self.client.clone())
    }

    /// The writer of operands, with the stored inventory.
    pub async fn hands(&self) -> Result<Hands, Fault> {
        Hands::new(self.client.clone()).await
    }

    /// The executor of probes.
    pub fn prober(&self) -> Prober {
        Prober::new(self.client.clone())
    }

    /// The publisher of Events; `instance` is the pod's name.
    pub fn events(&self, instance: &str) -> Events {
        Events::new(self.client.clone(), instance)
    }

    /// A candidate for the operator's Lease.
    pub fn election(&self, identity: &str) -> Election {
        Election::new(
            self.client.clone(),
            OPERATOR_NAMESPACE,
            gloonet_catalog::operator::LEASE,
            identity,
        )
    }

    /// What is read by list.
    pub async fn list(&self) -> Result<Listed, Fault> {
        observe::list(&self.client).await
    }

    /// Stores the status.
    pub async fn store_status(&self, status: &GlooNetworkStatus) -> Result<(), Fault> {
        platform::store_status(&self.client, status).await
    }

    /// Puts the finalizer on, or takes it off.
    pub async fn hold(&self, found: &GlooNetwork, held: bool) -> Result<(), Fault> {
        platform::hold(&self.client, found, held).await
    }
}

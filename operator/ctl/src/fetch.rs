//! Reads the GlooNetwork.

use std::{path::Path, sync::Arc};

use gloonet_api::{GlooNetwork, SINGLETON};
use gloonet_cluster::{ConnectError, Meter, connect};
use kube::{Api, Client, api::ListParams};

/// The GlooNetwork could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("no connection to a cluster can be made")]
    Connect(#[source] ConnectError),
    #[error(
        "the API server does not know gloonetworks.gloonetwork.io: install the operator first (kubectl apply -f bundle/install.yaml)"
    )]
    NoDefinition,
    #[error(
        "there is no GlooNetwork named {SINGLETON}: create one, it is what the operator installs from"
    )]
    Absent,
    #[error("GlooNetwork {SINGLETON} cannot be read from the API server")]
    Read(#[source] kube::Error),
}

/// One person's command makes a handful of requests: nobody counts them.
struct Uncounted;

impl Meter for Uncounted {
    fn request(&self, _verb: &str, _resource: &str, _code: u16) {}
}

/// A client of the cluster that the kubeconfig or the environment names.
pub(crate) async fn client(kubeconfig: Option<&Path>) -> Result<Client, FetchError> {
    connect(kubeconfig, Arc::new(Uncounted))
        .await
        .map_err(FetchError::Connect)
}

/// The one GlooNetwork, by a list: the operator's own account, as which this runs inside its pod, may list and watch, not get.
pub(crate) async fn network(client: &Client) -> Result<GlooNetwork, FetchError> {
    let api: Api<GlooNetwork> = Api::all(client.clone());
    let only = ListParams::default().fields(&format!("metadata.name={SINGLETON}"));
    let list = api.list(&only).await.map_err(read_error)?;
    list.items.into_iter().next().ok_or(FetchError::Absent)
}

/// A list that is not found has no definition.
fn read_error(error: kube::Error) -> FetchError {
    match &error {
        kube::Error::Api(status) if status.code == 404 => FetchError::NoDefinition,
        _ => FetchError::Read(error),
    }
}

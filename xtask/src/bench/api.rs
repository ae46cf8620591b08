//! The API server of the measured cluster.

use anyhow::{Context, Result};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::lab::Lab;

/// Does something with the cluster the environment names, as its administrator.
pub fn on_cluster(work: impl AsyncFnOnce(&Lab, kube::Client) -> Result<()>) -> Result<()> {
    let lab = Lab::from_environment()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    runtime.block_on(async {
        let client = connect(&lab).await?;
        work(&lab, client).await
    })
}

/// An administrator's client.
pub async fn connect(lab: &Lab) -> Result<kube::Client> {
    let file = Kubeconfig::read_from(lab.kubeconfig())
        .context("read the cluster's kubeconfig: ./dev up")?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .context("read the cluster's kubeconfig")?;
    kube::Client::try_from(config).context("make a client")
}

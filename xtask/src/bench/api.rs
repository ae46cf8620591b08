//! The API server of the measured cluster.

use std::future::Future;

use anyhow::{Context, Result, bail};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use tokio::signal::unix::{SignalKind, signal};

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

/// Does something until it is done or the end is asked for, by Ctrl-C or SIGTERM; what follows takes away what was made, and is not
/// interrupted any more.
///
/// A program that is waited for without `await` hears Ctrl-C itself; SIGTERM is noticed when it has ended.
pub async fn interruptible(work: impl Future<Output = Result<()>>) -> Result<()> {
    let mut interrupts = signal(SignalKind::interrupt()).context("listen for interrupts")?;
    let mut terminations = signal(SignalKind::terminate()).context("listen for the end")?;
    tokio::select! {
        done = work => done,
        _ = interrupts.recv() => bail!("interrupted"),
        _ = terminations.recv() => bail!("asked to end"),
    }
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

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;

    #[tokio::test]
    async fn who_is_asked_to_end_comes_back_to_clean_up() {
        let endless = async {
            kill(Pid::this(), Signal::SIGTERM)?;
            std::future::pending().await
        };
        let ended = interruptible(endless).await.unwrap_err();
        assert_eq!(ended.to_string(), "asked to end");
        interruptible(async { Ok(()) }).await.unwrap();
    }
}

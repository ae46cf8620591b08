//! Takes, renews and gives back the Lease.

use std::time::Instant;

use cilium_api::names;
use gloonet_daemon::error::chain;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Observed, RENEW_DEADLINE, RENEW_EVERY, RETRY_EVERY, Step, written};

/// Keeps one Lease for one replica.
#[derive(Debug)]
pub struct Keeper {
    api: Api<Lease>,
    me: String,
    observed: Observed,
    /// As the server answered our last write; a renewal builds on it without reading first.
    held: Option<Lease>,
    leading: watch::Sender<Option<Instant>>,
}

impl Keeper {
    /// For a replica called `me`, with the Lease in `namespace`.
    pub fn new(client: Client, namespace: &str, me: &str) -> Self {
        let api = Api::namespaced(client, namespace);
        Self {
            api,
            me: me.to_owned(),
            observed: Observed::default(),
            held: None,
            leading: watch::Sender::new(None),
        }
    }

    /// Until when this replica surely leads.
    pub fn leading(&self) -> watch::Receiver<Option<Instant>> {
        self.leading.subscribe()
    }

    /// Waits until the Lease is held; `false` when `stop` came first.
    pub async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        loop {
            let attempt = timeout(RENEW_DEADLINE, self.try_once());
            let Some(outcome) = stop.run_until_cancelled(attempt).await else {
                return false;
            };
            let pause = match outcome {
                Ok(Ok(true)) => {
                    info!(lease = names::OPERATOR_LEASE, identity = self.me, "leading");
                    return true;
                }
                Ok(Ok(false)) => RENEW_EVERY,
                Ok(Err(error)) => {
                    warn!(
                        error = chain(&error),
                        "cannot read or write the Lease, trying again"
                    );
                    RETRY_EVERY
                }
                Err(_) => {
                    warn!("the API server does not answer about the Lease, trying again");
                    RETRY_EVERY
                }
            };
            tokio::select! {
                () = stop.cancelled() => return false,
                () = sleep(pause) => {}
            }
        }
    }

    /// Renews until that fails for too long, another holds the Lease, or `stop`.
    pub async fn keep(&mut self, stop: &CancellationToken) {
        let mut pause = RENEW_EVERY;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
            }
            // An answer that comes after the deadline is as bad as none.
            let left = (*self.leading.borrow())
                .map(|until| until.saturating_duration_since(Instant::now()));
            match timeout(left.unwrap_or_default(), self.try_once()).await {
                Ok(Ok(true)) => pause = RENEW_EVERY,
                Ok(Ok(false)) => {
                    warn!("another replica holds the Lease");
                    return self.lost();
                }
                Ok(Err(error)) => {
                    debug!(
                        error = chain(&error),
                        "cannot renew the Lease, trying again"
                    );
                    pause = RETRY_EVERY;
                }
                Err(_) => {
                    warn!(
                        "the Lease could not be renewed in time; nothing is written until it is held again"
                    );
                    return self.lost();
                }
            }
        }
    }

    /// Gives the Lease back, so that another replica need not wait for it to run out.
    pub async fn release(&mut self) {
        self.lost();
        let error = match timeout(RENEW_DEADLINE, self.give_back()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => chain(&error),
            Err(_) => "no answer".to_owned(),
        };
        debug!(error, "the Lease could not be given back and will run out");
    }

    async fn give_back(&self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(names::OPERATOR_LEASE).await? else {
            return Ok(());
        };
        let Some(spec) = lease
            .spec
            .as_mut()
            .filter(|s| s.holder_identity.as_deref() == Some(&self.me))
        else {
            return Ok(());
        };
        spec.holder_identity = Some(String::new());
        self.api
            .replace(names::OPERATOR_LEASE, &PostParams::default(), &lease)
            .await
            .map(drop)
    }

    fn lost(&mut self) {
        self.held = None;
        self.leading.send_replace(None);
    }

    /// Renews what was ours a moment ago, or looks. `true`: this replica leads.
    async fn try_once(&mut self) -> kube::Result<bool> {
        if let Some(held) = self.held.take()
            && self.write(Some(held)).await?
        {
            return Ok(true);
        }
        // Not ours any more, or somebody else wrote something into it.
        let lease = self.api.get_opt(names::OPERATOR_LEASE).await?;
        self.write(lease).await
    }

    /// Takes or renews the Lease as it was last seen, where that is ours to do; `false` also when it has changed since.
    async fn write(&mut self, lease: Option<Lease>) -> kube::Result<bool> {
        let asked = Instant::now();
        let (name, params) = (names::OPERATOR_LEASE, PostParams::default());
        let mine = written(name, &self.me, lease.as_ref(), Timestamp::now());
        let outcome = match self.observed.step(&self.me, lease.as_ref(), asked) {
            Step::Wait => return Ok(false),
            Step::Create => self.api.create(&params, &mine).await,
            Step::Take | Step::Renew => self.api.replace(name, &params, &mine).await,
        };
        match outcome {
            Ok(lease) => {
                self.held = Some(lease);
                // Counted from before the request: the server may have stamped it at any moment since.
                self.leading.send_replace(Some(asked + RENEW_DEADLINE));
                Ok(true)
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::Ordering, time::Duration};

    use super::*;
    use crate::silent;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_answers_nothing_is_asked_again_and_holds_up_no_end() {
        let (client, asked) = silent::client();
        let mut keeper = Keeper::new(client, "kube-system", "one");
        let stop = CancellationToken::new();
        let minute = timeout(Duration::from_mins(1), keeper.acquire(&stop)).await;
        assert!(minute.is_err(), "nothing is held");
        let asked = asked.load(Ordering::Relaxed);
        assert!(asked > 3, "{asked}");
        let ended = async {
            let stopping = async { stop.cancel() };
            let (acquired, ()) = tokio::join!(keeper.acquire(&stop), stopping);
            keeper.release().await;
            acquired
        };
        let acquired = timeout(RENEW_DEADLINE + RETRY_EVERY, ended).await;
        assert_eq!(acquired, Ok(false));
    }
}

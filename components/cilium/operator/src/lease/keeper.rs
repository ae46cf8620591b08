//! Takes, renews and gives back the Lease.

use std::time::Instant;

use cilium_api::names;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Observed, RENEW_DEADLINE, RENEW_EVERY, RETRY_EVERY, Step, written};
use crate::logfmt;

/// Keeps one Lease for one replica.
#[derive(Debug)]
pub struct Keeper {
    api: Api<Lease>,
    me: String,
    observed: Observed,
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
            let pause = match self.try_once().await {
                Ok(true) => {
                    info!(lease = names::OPERATOR_LEASE, identity = self.me, "leading");
                    return true;
                }
                Ok(false) => RENEW_EVERY,
                Err(error) => {
                    warn!(
                        error = logfmt::chain(&error),
                        "cannot read or write the Lease, trying again"
                    );
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
            match tokio::time::timeout(left.unwrap_or_default(), self.try_once()).await {
                Ok(Ok(true)) => pause = RENEW_EVERY,
                Ok(Ok(false)) => {
                    warn!("another replica holds the Lease");
                    return self.lost();
                }
                Ok(Err(error)) => {
                    debug!(
                        error = logfmt::chain(&error),
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
        let Ok(Some(mut lease)) = self.api.get_opt(names::OPERATOR_LEASE).await else {
            return;
        };
        let Some(spec) = lease
            .spec
            .as_mut()
            .filter(|s| s.holder_identity.as_deref() == Some(&self.me))
        else {
            return;
        };
        spec.holder_identity = Some(String::new());
        if let Err(error) = self
            .api
            .replace(names::OPERATOR_LEASE, &PostParams::default(), &lease)
            .await
        {
            debug!(
                error = logfmt::chain(&error),
                "the Lease could not be given back and will run out"
            );
        }
    }

    fn lost(&self) {
        self.leading.send_replace(None);
    }

    /// One look and, where it is ours to do, one write. `true`: this replica leads.
    async fn try_once(&mut self) -> kube::Result<bool> {
        let asked = Instant::now();
        let lease = self.api.get_opt(names::OPERATOR_LEASE).await?;
        let step = self.observed.step(&self.me, lease.as_ref(), asked);
        let mine = written(
            names::OPERATOR_LEASE,
            &self.me,
            lease.as_ref(),
            Timestamp::now(),
        );
        let outcome = match step {
            Step::Wait => return Ok(false),
            Step::Create => self.api.create(&PostParams::default(), &mine).await,
            Step::Take | Step::Renew => {
                self.api
                    .replace(names::OPERATOR_LEASE, &PostParams::default(), &mine)
                    .await
            }
        };
        match outcome {
            // Counted from before the request: the server may have stamped it at any moment since.
            Ok(_) => self.leading.send_replace(Some(asked + RENEW_DEADLINE)),
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(true)
    }
}

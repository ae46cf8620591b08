//! Keeps what the cluster's collectors show the telemetry gateway of the management cluster.

use std::{collections::BTreeMap, time::Duration};

use gloo_api::names;
use gloo_relay::{
    client::{Credentials, EnrolCallError, Server, telemetry},
    session::{Backoff, renewal},
};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::secrets::{SecretError, Secrets};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
enum TelemetryError {
    #[error("there is no certificate for the relay yet")]
    NoCertificate,
    #[error("the management server was asked for a token")]
    Call {
        #[from]
        source: EnrolCallError,
    },
    #[error("the token cannot be kept")]
    Secret {
        #[from]
        source: SecretError,
    },
}

/// The parts of it.
#[derive(Debug)]
pub struct TelemetryKeeper {
    pub secrets: Secrets,
    pub server: Server,
    pub credentials: watch::Receiver<Option<Credentials>>,
}

impl TelemetryKeeper {
    /// Until `closing`.
    pub async fn run(mut self, closing: CancellationToken) {
        let mut backoff = Backoff::default();
        let mut said = None;
        while !closing.is_cancelled() {
            let pause = match self.turn().await {
                Ok(pause) => {
                    backoff.reset();
                    said = None;
                    tracing::info!(
                        seconds = pause.as_secs(),
                        "collectors have a new token for the gateway"
                    );
                    pause
                }
                Err(error) => {
                    let words = gloonet_daemon::error::chain(&error);
                    if said.as_ref() != Some(&words) {
                        tracing::warn!(
                            reason = words,
                            "collectors get no new token for the gateway"
                        );
                        said = Some(words);
                    }
                    backoff.pause(rand::random())
                }
            };
            tokio::select! {
                () = closing.cancelled() => return,
                // Of another certificate, perhaps another server, another token.
                changed = self.credentials.changed() => if changed.is_err() { return },
                () = sleep(pause) => {}
            }
        }
    }

    /// Gets a token and keeps it; how long to wait for the next.
    async fn turn(&mut self) -> Result<Duration, TelemetryError> {
        let credentials = self.credentials.borrow_and_update().clone();
        let credentials = credentials.ok_or(TelemetryError::NoCertificate)?;
        let given = telemetry(&self.server, &credentials).await?;
        let data = BTreeMap::from([("token", given.token), ("ca.crt", given.authority)]);
        self.secrets.replace(names::TELEMETRY_TOKEN, data).await?;
        let life = given.not_after.saturating_sub(given.not_before);
        let life = Duration::from_secs(u64::try_from(life).unwrap_or_default());
        Ok(renewal(life, rand::random()))
    }
}

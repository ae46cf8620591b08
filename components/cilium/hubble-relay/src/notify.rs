//! Follows the stream of an agent that tells which nodes there are.

use std::{sync::Arc, time::Duration};

use backon::ExponentialBackoff;
use cilium_hubble::proto::peer::{ChangeNotification, NotifyRequest, peer_client::PeerClient};
use gloonet_daemon::error::chain;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status, Streaming};

use crate::{
    dial::{DialError, Dialer, Target, pauses},
    grace::Grace,
    peers::Peers,
    pool::Pool,
};

/// A fresh stream has named all nodes when it has said nothing for this long.
const SETTLED: Duration = Duration::from_secs(2);

/// What is known of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Whether any stream ever named a node.
    pub ever: bool,
    /// Why there is none now. `None` while there is one, and before the first attempt has failed.
    pub error: Option<Arc<str>>,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum NotifyError {
    #[error("cannot reach an agent that tells which nodes there are")]
    Dial { source: DialError },
    #[error("the agent does not tell which nodes there are")]
    Refused { source: Status },
    #[error("the agent ended the stream that tells which nodes there are")]
    Ended,
}

/// Keeps `pool` at the nodes that agents at `target` tell of, until `stop`. While no agent does, they are those told of last.
pub async fn follow(
    target: Target,
    dialer: Arc<Dialer>,
    pool: Arc<Pool>,
    told: watch::Sender<Told>,
    stop: CancellationToken,
) {
    let follower = Follower {
        target,
        dialer,
        pool,
        told,
    };
    let _ = stop.run_until_cancelled(follower.run()).await;
}

struct Follower {
    target: Target,
    dialer: Arc<Dialer>,
    pool: Arc<Pool>,
    told: watch::Sender<Told>,
}

impl Follower {
    async fn run(self) {
        let mut peers = Peers::default();
        let mut pause = pauses();
        let mut grace = Grace::begin();
        loop {
            let error = self.stream(&mut peers, &mut pause).await;
            let error: Arc<str> = chain(&error).into();
            let before = self.told.borrow().clone();
            if before.error.is_none() {
                grace = Grace::begin();
            }
            self.tell(Told {
                ever: before.ever,
                error: Some(error.clone()),
            });
            if grace.is_over(&error) {
                tracing::warn!(
                    error = &*error,
                    "the nodes are those known so far; trying again"
                );
            }
            tokio::time::sleep(pause.next().unwrap_or(SETTLED)).await;
        }
    }

    /// One stream, to its end. One that named a node makes the next attempt an early one.
    async fn stream(&self, peers: &mut Peers, pause: &mut ExponentialBackoff) -> NotifyError {
        let mut stream = match self.open().await {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        tracing::info!(
            agent = self.target.address,
            "an agent tells which nodes there are"
        );
        peers.begin();
        let mut settles = None;
        loop {
            let heard = tokio::select! {
                message = stream.message() => message,
                () = until(settles) => {
                    settles = None;
                    peers.settle().into_iter().for_each(|change| self.pool.apply(change));
                    continue;
                }
            };
            let notification = match heard {
                Ok(Some(notification)) => notification,
                Ok(None) => return NotifyError::Ended,
                Err(source) => return NotifyError::Refused { source },
            };
            *pause = pauses();
            settles = Some(Instant::now() + SETTLED);
            if let Some(change) = peers.heard(notification) {
                self.pool.apply(change);
            }
            self.tell(Told {
                ever: true,
                error: None,
            });
        }
    }

    async fn open(&self) -> Result<Streaming<ChangeNotification>, NotifyError> {
        let connection = self.dialer.dial(&self.target).await;
        let connection = connection.map_err(|source| NotifyError::Dial { source })?;
        let stream = PeerClient::new(connection.channel)
            .notify(NotifyRequest {})
            .await;
        stream
            .map(Response::into_inner)
            .map_err(|source| NotifyError::Refused { source })
    }

    /// Whether that is new.
    fn tell(&self, now: Told) {
        self.told.send_if_modified(|told| {
            let new = *told != now;
            *told = now;
            new
        });
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

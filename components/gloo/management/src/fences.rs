//! Which of two agents of one cluster is served, where they ask different replicas.

use std::time::Duration;

use gloo_relay::{
    proto::{Refused, refused::Code},
    server::{Stream, fenced},
};
use gloo_store::{Fences, Holder, Moment, Word};
use gloonet_daemon::error::chain;
use tokio::{sync::watch, time::timeout};

/// No stream waits longer for Redis.
const PATIENCE: Duration = Duration::from_secs(2);

/// What all replicas know, and what is said of it.
#[derive(Debug)]
pub struct Fence {
    entries: Fences,
    /// Of this process; a stream's number is unique in it only.
    replica: String,
    /// Why other replicas are not known of; then each decides by its own streams.
    pub away: watch::Sender<Option<String>>,
}

impl Fence {
    pub fn new(entries: Fences, replica: String) -> Self {
        Self {
            entries,
            replica,
            away: watch::Sender::new(None),
        }
    }

    /// Refuses a stream that is not its cluster's. Without Redis none is.
    pub async fn ask(&self, stream: &Stream, when: Moment) -> Result<(), Refused> {
        let ours = Holder {
            instance: stream.claim.instance.clone(),
            started_ms: stream.claim.started_ms,
            stream: format!("{}/{}", self.replica, stream.id),
        };
        let asked = self.entries.ask(&stream.cluster, &ours, when);
        let why = match timeout(PATIENCE, asked).await {
            Ok(Ok(word)) => {
                self.tell(None);
                return verdict(stream, word);
            }
            Ok(Err(error)) => chain(&error),
            Err(_) => {
                self.entries.reset().await;
                format!("Redis did not answer within {} s", PATIENCE.as_secs())
            }
        };
        self.tell(Some(why));
        Ok(())
    }

    fn tell(&self, now: Option<String>) {
        self.away.send_if_modified(|before| {
            if before.is_some() != now.is_some() {
                match &now {
                    Some(reason) => tracing::warn!(
                        reason,
                        "which agent of a cluster is served is decided by each replica alone"
                    ),
                    None => {
                        tracing::info!(
                            "which agent of a cluster is served is decided for all replicas"
                        );
                    }
                }
            }
            let changed = *before != now;
            *before = now;
            changed
        });
    }
}

fn verdict(stream: &Stream, word: Word) -> Result<(), Refused> {
    match word {
        Word::Served => Ok(()),
        Word::Fenced(by) => {
            tracing::warn!(
                cluster = %stream.cluster,
                now = by.instance,
                refused = stream.claim.instance,
                "two agents speak for one cluster; the earlier started one is fenced"
            );
            Err(fenced(&stream.cluster, &by))
        }
        Word::Elsewhere => Err(Refused {
            code: Code::Closing.into(),
            reason: "the agent has a later stream at another replica".to_owned(),
        }),
    }
}

//! Which of two agents of one cluster is served, where they ask different replicas.

use std::{sync::Arc, time::Duration};

use gloo_relay::{
    proto::{Refused, refused::Code},
    server::{Stream, fenced},
};
use gloo_store::{Fences, Holder, Moment, Word};
use gloonet_daemon::error::chain;
use tokio::time::timeout;

use crate::shared::Shared;

/// No stream waits longer for Redis.
const PATIENCE: Duration = Duration::from_secs(2);

/// What all replicas know, and which of them this is.
#[derive(Debug)]
pub struct Fence {
    entries: Fences,
    shared: Arc<Shared>,
}

impl Fence {
    pub fn new(entries: Fences, shared: Arc<Shared>) -> Self {
        Self { entries, shared }
    }

    /// Refuses a stream that is not its cluster's. Without Redis none is.
    pub async fn ask(&self, stream: &Stream, when: Moment) -> Result<(), Refused> {
        let ours = Holder {
            instance: stream.claim.instance.clone(),
            started_ms: stream.claim.started_ms,
            // A stream's number is unique in its process only.
            stream: format!("{}/{}", self.shared.instance, stream.id),
        };
        let asked = self.entries.ask(&stream.cluster, &ours, when);
        let why = match timeout(PATIENCE, asked).await {
            Ok(Ok(word)) => {
                self.tell(None);
                return verdict(stream, word);
            }
            Ok(Err(error)) => chain(&error),
            Err(_) => {
                // Who cannot at once finds somebody making a new connection.
                let _ = timeout(Duration::ZERO, self.entries.reset()).await;
                format!("Redis did not answer within {} s", PATIENCE.as_secs())
            }
        };
        self.tell(Some(why));
        Ok(())
    }

    fn tell(&self, now: Option<String>) {
        self.shared.fences.send_if_modified(|before| {
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

/// What the word of all replicas means to a stream.
pub fn verdict(stream: &Stream, word: Word) -> Result<(), Refused> {
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

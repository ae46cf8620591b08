//! Which agent of a cluster is served, over all replicas: a sealed entry per cluster (`docs/redis-keys.md`).
//!
//! An entry lives as long as the stream it is of, and a moment more, so that an older agent does not slip in between two streams of
//! the one that started last, and a cluster whose later agent is gone for good is served again.

use std::time::Duration;

use gloo_api::ClusterName;
use gloo_relay::session::{Claim, outranks};
use redis::{RedisError, aio::MultiplexedConnection, cmd, pipe};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{connection::Redis, seal::Seal, snapshot::StoreError};

/// How long an entry outlives its stream.
pub(crate) const KEPT: Duration = Duration::from_mins(1);
/// Others write between reading and writing at most so often before that is an error.
const ATTEMPTS: usize = 30;

/// A stream that asks whether it is its cluster's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub instance: String,
    pub started_ms: i64,
    /// Which stream of which replica.
    pub stream: String,
}

impl Holder {
    fn claim(&self) -> Claim {
        Claim {
            instance: self.instance.clone(),
            started_ms: self.started_ms,
        }
    }
}

/// When it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Opening,
    Open,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    Served,
    /// Another agent is.
    Fenced(Claim),
    /// This agent has a later stream.
    Elsewhere,
}

pub(crate) fn judge(there: Option<&Holder>, ours: &Holder, when: Moment) -> Word {
    // By more than the stream: a server that started again in its pod numbers them from the beginning.
    let Some(there) = there.filter(|there| *there != ours) else {
        return Word::Served;
    };
    let same = there.instance == ours.instance;
    match when {
        Moment::Open if same => Word::Elsewhere,
        // Of two that started in one moment the one that asks to be let in is; else both would be, in turns.
        Moment::Open if outranks(&there.claim(), &ours.claim()) => Word::Fenced(there.claim()),
        Moment::Opening if !outranks(&ours.claim(), &there.claim()) => Word::Fenced(there.claim()),
        Moment::Open | Moment::Opening => Word::Served,
    }
}

/// The entries. The connection is theirs alone: what is watched is watched for all that goes over it.
#[derive(Debug)]
pub struct Fences {
    redis: Redis,
    seal: Seal,
    nonce: fn() -> [u8; 12],
    one: Mutex<()>,
}

fn redis_key(cluster: &ClusterName) -> String {
    format!("gloonet:v1:fence:{cluster}")
}

fn place(cluster: &ClusterName) -> String {
    format!("v1|{cluster}|fence")
}

impl Fences {
    /// `nonce` is random.
    pub fn new(redis: Redis, seal: Seal, nonce: fn() -> [u8; 12]) -> Self {
        Self {
            redis,
            seal,
            nonce,
            one: Mutex::default(),
        }
    }

    /// Asks whether the stream is its cluster's, and if so makes it that, or keeps it, for a while.
    pub async fn ask(
        &self,
        cluster: &ClusterName,
        ours: &Holder,
        when: Moment,
    ) -> Result<Word, StoreError> {
        let _one = self.one.lock().await;
        let mut connection = self.redis.get().await?;
        let asked = self.compare(&mut connection, cluster, ours, when).await;
        if asked.is_err() {
            self.redis.reset().await;
        }
        asked
    }

    /// Lets go of the connection.
    pub async fn reset(&self) {
        self.redis.reset().await;
    }

    async fn compare(
        &self,
        connection: &mut MultiplexedConnection,
        cluster: &ClusterName,
        ours: &Holder,
        when: Moment,
    ) -> Result<Word, StoreError> {
        let key = redis_key(cluster);
        let wrong = |source| StoreError::Redis {
            cluster: cluster.clone(),
            source,
        };
        for _ in 0..ATTEMPTS {
            let watched = cmd("WATCH").arg(&key).exec_async(connection).await;
            watched.map_err(wrong)?;
            let there = self.read(connection, cluster).await.map_err(wrong)?;
            let word = judge(there.as_ref(), ours, when);
            if word != Word::Served {
                let let_go = cmd("UNWATCH").exec_async(connection).await;
                return let_go.map(|()| word).map_err(wrong);
            }
            if self.write(connection, cluster, ours).await? {
                return Ok(word);
            }
        }
        Err(StoreError::Contended {
            cluster: cluster.clone(),
        })
    }

    /// What nobody with our key wrote is as good as nothing.
    async fn read(
        &self,
        connection: &mut MultiplexedConnection,
        cluster: &ClusterName,
    ) -> Result<Option<Holder>, RedisError> {
        let mut get = cmd("GET");
        get.arg(redis_key(cluster));
        let entry: Option<Vec<u8>> = match get.query_async(connection).await {
            Err(error) if error.code() == Some("WRONGTYPE") => None,
            read => read?,
        };
        let text = entry.and_then(|entry| self.seal.open(&place(cluster), &entry));
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// `false`: somebody else wrote since it was read.
    async fn write(
        &self,
        connection: &mut MultiplexedConnection,
        cluster: &ClusterName,
        ours: &Holder,
    ) -> Result<bool, StoreError> {
        // Texts and a number are always JSON.
        let text = serde_json::to_vec(ours).unwrap_or_default();
        let sealed = self.seal.close(&place(cluster), text, (self.nonce)());
        let entry = sealed.map_err(|source| StoreError::Seal {
            cluster: cluster.clone(),
            source,
        })?;
        let mut set = cmd("SET");
        set.arg(redis_key(cluster)).arg(entry);
        set.arg("EX").arg(KEPT.as_secs());
        let mut transaction = pipe();
        transaction.atomic().add_command(set);
        let done = transaction.query_async(connection).await;
        let done: Option<Vec<String>> = done.map_err(|source| StoreError::Redis {
            cluster: cluster.clone(),
            source,
        })?;
        Ok(done.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(instance: &str, started_ms: i64, stream: &str) -> Holder {
        Holder {
            instance: instance.to_owned(),
            started_ms,
            stream: stream.to_owned(),
        }
    }

    #[test]
    fn the_later_started_is_served_and_keeps_its_place_whoever_asks() {
        let (old, new) = (holder("old", 1, "a/1"), holder("new", 2, "b/1"));
        // At a server that started again in its pod, and numbers streams from the beginning.
        let again = holder("old", 1, "b/1");
        for (there, ours, when, served) in [
            (&old, &new, Moment::Opening, true),
            (&old, &new, Moment::Open, true),
            (&new, &old, Moment::Opening, false),
            (&new, &old, Moment::Open, false),
            (&new, &new, Moment::Open, true),
            (&new, &again, Moment::Opening, false),
        ] {
            let word = judge(Some(there), ours, when);
            assert_eq!(word == Word::Served, served, "{there:?} {ours:?} {when:?}");
        }
    }

    #[test]
    fn an_agent_that_came_back_leaves_its_stream_of_before() {
        let (before, after) = (holder("one", 1, "a/1"), holder("one", 1, "b/1"));
        assert_eq!(judge(Some(&before), &after, Moment::Opening), Word::Served);
        assert_eq!(judge(Some(&after), &before, Moment::Open), Word::Elsewhere);
    }

    #[test]
    fn of_two_that_started_in_one_moment_one_is_served_at_a_time() {
        let (first, second) = (holder("one", 1, "a/1"), holder("two", 1, "b/1"));
        assert_eq!(judge(Some(&first), &second, Moment::Opening), Word::Served);
        assert_eq!(
            judge(Some(&second), &first, Moment::Open),
            Word::Fenced(second.claim())
        );
    }
}

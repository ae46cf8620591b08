//! Snapshots into Redis and out of it.

use std::{collections::HashMap, hash::BuildHasher};

use gloo_api::ClusterName;
use gloo_relay::table::Objects;
use redis::{RedisError, aio::MultiplexedConnection, cmd, pipe};

use crate::{
    connection::Redis,
    seal::Seal,
    snapshot::{HEAD, Head, StoreError, Write, open, open_head, redis_key},
};

/// Redis with our seal.
#[derive(Debug)]
pub struct Store {
    redis: Redis,
    seal: Seal,
}

/// What Redis has of a cluster.
#[derive(Debug)]
pub enum Found {
    Nothing,
    /// As it was last read or written here.
    Same,
    /// Not ours, or not whole.
    Refused,
    Snapshot(Head, Objects),
}

impl Store {
    pub fn new(redis: Redis, seal: Seal) -> Self {
        Self { redis, seal }
    }

    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// Lets go of the connection.
    pub async fn reset(&self) {
        self.redis.reset().await;
    }

    /// `false`: Redis did not have what the write builds on, and what it has now is not whole. Everything is to be written.
    pub async fn save(&self, cluster: &ClusterName, write: &Write) -> Result<bool, StoreError> {
        let key = redis_key(cluster);
        let mut connection = self.redis.get().await?;
        let mut transaction = pipe();
        transaction.atomic();
        if write.base.is_none() {
            transaction.del(&key).ignore();
        } else {
            transaction.hget(&key, HEAD);
            if !write.delete.is_empty() {
                transaction.hdel(&key, &write.delete).ignore();
            }
        }
        transaction.hset_multiple(&key, &write.set).ignore();
        let done = transaction.query_async(&mut connection).await;
        let before: Vec<Option<Vec<u8>>> = done.map_err(|source| StoreError::Redis {
            cluster: cluster.clone(),
            source,
        })?;
        let before = before.into_iter().flatten().next();
        Ok(write.is_whole(&self.seal, cluster, before.as_deref()))
    }

    /// The head of what Redis has of a cluster; `None`: it has none of ours.
    pub async fn head(&self, cluster: &ClusterName) -> Result<Option<Head>, StoreError> {
        let mut connection = self.redis.get().await?;
        match entry_of_head(&mut connection, cluster).await {
            Ok(entry) => Ok(entry.and_then(|entry| open_head(&self.seal, cluster, &entry))),
            Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
            Err(source) => Err(StoreError::Redis {
                cluster: cluster.clone(),
                source,
            }),
        }
    }

    /// Reads a cluster's snapshot, unless it is `last`.
    pub async fn load(
        &self,
        cluster: &ClusterName,
        last: Option<&Head>,
    ) -> Result<Found, StoreError> {
        let key = redis_key(cluster);
        let wrong = |source| StoreError::Redis {
            cluster: cluster.clone(),
            source,
        };
        let mut connection = self.redis.get().await?;
        let head = match entry_of_head(&mut connection, cluster).await {
            Ok(head) => head,
            // Somebody put another kind of value under the name. That is no fault of Redis, and no reason to leave the others.
            Err(error) if error.code() == Some("WRONGTYPE") => return Ok(Found::Refused),
            Err(error) => return Err(wrong(error)),
        };
        if let Some(found) = by_head(&self.seal, cluster, head.as_deref(), last) {
            return Ok(found);
        }
        let mut ask = cmd("HGETALL");
        ask.arg(&key);
        let all: HashMap<String, Vec<u8>> =
            ask.query_async(&mut connection).await.map_err(wrong)?;
        Ok(whole(&self.seal, cluster, &all))
    }
}

async fn entry_of_head(
    connection: &mut MultiplexedConnection,
    cluster: &ClusterName,
) -> Result<Option<Vec<u8>>, RedisError> {
    let mut ask = cmd("HGET");
    ask.arg(redis_key(cluster)).arg(HEAD);
    ask.query_async(connection).await
}

/// What the head alone says; `None`: the rest is to be read.
pub(crate) fn by_head(
    seal: &Seal,
    cluster: &ClusterName,
    head: Option<&[u8]>,
    last: Option<&Head>,
) -> Option<Found> {
    let Some(head) = head else {
        return Some(Found::Nothing);
    };
    match open_head(seal, cluster, head) {
        None => Some(Found::Refused),
        Some(head) if last == Some(&head) => Some(Found::Same),
        Some(_) => None,
    }
}

pub(crate) fn whole<S: BuildHasher>(
    seal: &Seal,
    cluster: &ClusterName,
    entries: &HashMap<String, Vec<u8>, S>,
) -> Found {
    match open(seal, cluster, entries) {
        Some((head, objects)) => Found::Snapshot(head, objects),
        None => Found::Refused,
    }
}

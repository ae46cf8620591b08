//! The one place that speaks with Redis.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use redis::{
    ConnectionAddr, IntoConnectionInfo, RedisError, aio::MultiplexedConnection, cmd, pipe,
};
use redis_access::{Access, AccessError};
use tokio::time::timeout;

use crate::{args::Args, batch::Entry, key, room::REMEMBER};

/// How long Redis may take for one command.
const ANSWER: Duration = Duration::from_secs(3);
/// Field of an entry that holds the record.
const FIELD: &str = "r";

/// Why a batch is not stored. Sending it again later may help.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("REDIS_ADDRESS {address:?} is not host:port")]
    Address { address: String },
    #[error("cannot connect to Redis at {address}")]
    Connect {
        address: String,
        source: AccessError,
    },
    #[error("Redis at {address} did not take the batch")]
    Write { address: String, source: RedisError },
    #[error("Redis at {address} did not take the batch within {} ms", within.as_millis())]
    Late { address: String, within: Duration },
}

impl StoreError {
    /// One word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address { .. } => "address",
            Self::Connect {
                source: AccessError::File { .. } | AccessError::Authority { .. },
                ..
            } => "file",
            Self::Connect { .. } => "connect",
            Self::Write { .. } => "write",
            Self::Late { .. } => "late",
        }
    }
}

/// Of each record of a batch whether it was stored; what was not was there already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written(pub Vec<bool>);

impl Written {
    /// How many were stored.
    pub fn stored(&self) -> usize {
        self.0.iter().filter(|stored| **stored).count()
    }

    /// How many were there already.
    pub fn known(&self) -> usize {
        self.0.len() - self.stored()
    }
}

/// Redis, connected when it is needed.
#[derive(Debug)]
pub struct Store {
    address: String,
    tls: bool,
    access: Access,
}

impl Store {
    pub fn new(args: &Args) -> Self {
        Self {
            address: args.redis_address.clone(),
            tls: args.redis_tls,
            access: Access::new(
                args.redis_credentials.clone(),
                args.redis_ca.clone(),
                ANSWER,
            ),
        }
    }

    /// Stores what is not stored yet. All of it, or nothing and an error; after an error nobody knows which, and writing the
    /// same again is right.
    pub async fn write(&self, entries: &[Entry], within: Duration) -> Result<Written, StoreError> {
        if entries.is_empty() {
            return Ok(Written::default());
        }
        let written = timeout(within, self.twice(entries)).await;
        written.unwrap_or_else(|_| {
            Err(StoreError::Late {
                address: self.address.clone(),
                within,
            })
        })
    }

    /// Once more right away: a connection that Redis closed while nobody used it says nothing about Redis.
    async fn twice(&self, entries: &[Entry]) -> Result<Written, StoreError> {
        let written = self.once(entries).await;
        if written.is_ok() {
            return written;
        }
        self.reset().await;
        self.once(entries).await
    }

    async fn once(&self, entries: &[Entry]) -> Result<Written, StoreError> {
        let mut connection = self.connection().await?;
        let written = write(&mut connection, entries).await;
        written.map_err(|source| StoreError::Write {
            address: self.address.clone(),
            source,
        })
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let answered = cmd("PING").exec_async(&mut connection).await;
        answered.map_err(|source| StoreError::Write {
            address: self.address.clone(),
            source,
        })
    }

    /// Lets go of the connection, so that the next batch makes a new one, with the credentials of then.
    pub async fn reset(&self) {
        self.access.reset().await;
    }

    async fn connection(&self) -> Result<MultiplexedConnection, StoreError> {
        let wrong = |source| StoreError::Connect {
            address: self.address.clone(),
            source,
        };
        let target = self.target()?.into_connection_info();
        let target = target.map_err(|source| wrong(AccessError::Connect { source }))?;
        self.access.get(target).await.map_err(wrong)
    }

    fn target(&self) -> Result<ConnectionAddr, StoreError> {
        let parsed = self
            .address
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host.to_owned(), port.parse::<u16>().ok()?)));
        let (host, port) = parsed.ok_or_else(|| StoreError::Address {
            address: self.address.clone(),
        })?;
        Ok(if self.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        })
    }
}

async fn write(
    connection: &mut MultiplexedConnection,
    entries: &[Entry],
) -> Result<Written, RedisError> {
    let known = known(connection, entries).await?;
    // In the order they came, for those of one stream. The same record twice in one batch is one record.
    let mut taken = BTreeSet::new();
    let stored: Vec<bool> = entries
        .iter()
        .map(|entry| !known.contains(entry.id.as_str()) && taken.insert(entry.id.as_str()))
        .collect();
    let both = entries.iter().zip(&stored);
    let new: Vec<&Entry> = both
        .filter_map(|(entry, new)| new.then_some(entry))
        .collect();
    if !new.is_empty() {
        transaction(&new).exec_async(connection).await?;
    }
    Ok(Written(stored))
}

/// Ids of those that are stored already, as far as it is remembered.
async fn known<'a>(
    connection: &mut MultiplexedConnection,
    entries: &'a [Entry],
) -> Result<BTreeSet<&'a str>, RedisError> {
    let once = entries.iter().filter(|entry| entry.retention.once);
    let ids: Vec<&str> = once.map(|entry| entry.id.as_str()).collect();
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let names: Vec<String> = ids.iter().map(|id| key::seen(id)).collect();
    let stored: Vec<Option<u8>> = cmd("MGET").arg(&names).query_async(connection).await?;
    let both = ids.into_iter().zip(stored);
    Ok(both.filter_map(|(id, stored)| stored.map(|_| id)).collect())
}

/// Entries and the memory of them go in together: a batch cut off in the middle is not there at all.
fn transaction(new: &[&Entry]) -> redis::Pipeline {
    let mut pipeline = pipe();
    pipeline.atomic();
    let mut streams = BTreeMap::new();
    for entry in new {
        let add = pipeline.cmd("XADD").arg(entry.key.as_str()).arg("MAXLEN");
        if entry.retention.about {
            add.arg("~");
        }
        add.arg(entry.retention.entries)
            .arg("*")
            .arg(FIELD)
            .arg(&entry.text)
            .ignore();
        if entry.admitted.remember {
            pipeline
                .cmd("SET")
                .arg(key::seen(&entry.id))
                .arg(1)
                .arg("EX")
                .arg(REMEMBER)
                .ignore();
        }
        streams.insert(entry.key.as_str(), entry.retention.time);
    }
    for (stream, time) in streams {
        pipeline
            .cmd("EXPIRE")
            .arg(stream)
            .arg(time.as_secs())
            .ignore();
    }
    pipeline
}

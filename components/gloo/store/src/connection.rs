//! The connection to Redis, by a URL.

use std::{path::PathBuf, time::Duration};

use redis::{IntoConnectionInfo, RedisError, aio::MultiplexedConnection};
use redis_access::{Access, AccessError};

/// A full snapshot of a large cluster is some ten megabytes.
const ANSWER: Duration = Duration::from_secs(10);

/// Why Redis cannot be spoken with.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("{url} is no place Redis can be at")]
    Url { url: String, source: RedisError },
    #[error("there is no connection to Redis at {url}")]
    Access { url: String, source: AccessError },
}

/// Where Redis is, and who we are there.
#[derive(Debug)]
pub struct Redis {
    url: String,
    access: Access,
}

/// Arguments about Redis.
#[derive(Clone, Debug, clap::Args)]
pub struct RedisArgs {
    /// Redis, `redis://host:port` or `rediss://host:port`.
    #[arg(long)]
    pub redis_url: String,
    /// Folder with the files `username` (optional) and `password`, read anew for every connection. Absent: no authentication.
    #[arg(long)]
    pub redis_credentials: Option<PathBuf>,
    /// Authority of Redis' certificate, in PEM. Absent: the system's authorities.
    #[arg(long)]
    pub redis_ca: Option<PathBuf>,
}

impl Redis {
    pub fn new(args: &RedisArgs) -> Self {
        let (credentials, authority) = (args.redis_credentials.clone(), args.redis_ca.clone());
        Self {
            url: args.redis_url.clone(),
            access: Access::new(credentials, authority, ANSWER),
        }
    }

    pub async fn get(&self) -> Result<MultiplexedConnection, ConnectionError> {
        let url = || self.url.clone();
        let target = self.url.as_str().into_connection_info();
        let target = target.map_err(|source| ConnectionError::Url { url: url(), source })?;
        let connection = self.access.get(target).await;
        connection.map_err(|source| ConnectionError::Access { url: url(), source })
    }

    /// After an error: the next use makes a new connection, with the credentials of then.
    pub async fn reset(&self) {
        self.access.reset().await;
    }
}

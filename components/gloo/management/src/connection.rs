//! The connection to Redis, made when it is needed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError, TlsCertificates,
    aio::MultiplexedConnection,
};
use tokio::sync::Mutex;

use crate::args::Args;

const CONNECT: Duration = Duration::from_secs(2);
/// A full snapshot of a large cluster is some ten megabytes.
const ANSWER: Duration = Duration::from_secs(10);

/// Why Redis cannot be spoken with.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("cannot read {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot connect to Redis at {url}")]
    Connect { url: String, source: RedisError },
}

/// Where Redis is, and who we are there.
#[derive(Debug)]
pub struct Redis {
    url: String,
    credentials: Option<PathBuf>,
    authority: Option<PathBuf>,
    held: Mutex<Option<MultiplexedConnection>>,
}

impl Redis {
    pub fn new(args: &Args) -> Self {
        Self {
            url: args.redis_url.clone(),
            credentials: args.redis_credentials.clone(),
            authority: args.redis_ca.clone(),
            held: Mutex::new(None),
        }
    }

    pub async fn get(&self) -> Result<MultiplexedConnection, ConnectionError> {
        let mut held = self.held.lock().await;
        if let Some(connection) = held.as_ref() {
            return Ok(connection.clone());
        }
        let connection = self.connect().await?;
        *held = Some(connection.clone());
        Ok(connection)
    }

    /// After an error: the next use makes a new connection, with the credentials of then.
    pub async fn reset(&self) {
        *self.held.lock().await = None;
    }

    async fn connect(&self) -> Result<MultiplexedConnection, ConnectionError> {
        let wrong = |source| ConnectionError::Connect {
            url: self.url.clone(),
            source,
        };
        let target = self.url.as_str().into_connection_info().map_err(wrong)?;
        let mut login = target.redis_settings().clone().set_skip_set_lib_name();
        if let Some(folder) = &self.credentials {
            let user = folder.join("username");
            if user.exists() {
                login = login.set_username(read(&user)?.trim());
            }
            login = login.set_password(read(&folder.join("password"))?.trim());
        }
        let target = target.set_redis_settings(login);
        let client = match &self.authority {
            Some(path) => {
                let trusted = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(read(path)?.into_bytes()),
                };
                Client::build_with_tls(target, trusted)
            }
            None => Client::open(target),
        };
        let patience = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        client
            .map_err(wrong)?
            .get_multiplexed_async_connection_with_config(&patience)
            .await
            .map_err(wrong)
    }
}

fn read(path: &Path) -> Result<String, ConnectionError> {
    fs::read_to_string(path).map_err(|source| ConnectionError::File {
        path: path.to_owned(),
        source,
    })
}

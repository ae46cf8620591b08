//! A connection to Redis: made when it is needed, kept until it is let go of, with credentials that are read anew for each.
#![forbid(unsafe_code)]

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, RedisError, TlsCertificates,
    aio::MultiplexedConnection,
};
use tokio::sync::Mutex;

/// How long Redis may take to connect.
const CONNECT: Duration = Duration::from_secs(2);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("cannot read {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot connect")]
    Connect { source: RedisError },
}

/// Who we are at Redis, how it is known, and how long it may take.
#[derive(Debug)]
pub struct Access {
    /// Folder with the files `username` (optional) and `password`. Absent: no authentication.
    credentials: Option<PathBuf>,
    /// Authority of Redis' certificate, in PEM. Absent: the system's authorities.
    authority: Option<PathBuf>,
    /// How long Redis may take for one command.
    answer: Duration,
    held: Mutex<Option<MultiplexedConnection>>,
}

impl Access {
    pub fn new(credentials: Option<PathBuf>, authority: Option<PathBuf>, answer: Duration) -> Self {
        Self {
            credentials,
            authority,
            answer,
            held: Mutex::new(None),
        }
    }

    /// The connection there is, or a new one to `target`.
    pub async fn get(&self, target: ConnectionInfo) -> Result<MultiplexedConnection, AccessError> {
        let mut held = self.held.lock().await;
        if let Some(connection) = held.as_ref() {
            return Ok(connection.clone());
        }
        let connection = self.connect(target).await?;
        *held = Some(connection.clone());
        Ok(connection)
    }

    /// Lets go of the connection, so that the next use makes a new one, with the credentials of then.
    pub async fn reset(&self) {
        *self.held.lock().await = None;
    }

    async fn connect(&self, target: ConnectionInfo) -> Result<MultiplexedConnection, AccessError> {
        let wrong = |source| AccessError::Connect { source };
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
            .set_response_timeout(Some(self.answer));
        client
            .map_err(wrong)?
            .get_multiplexed_async_connection_with_config(&patience)
            .await
            .map_err(wrong)
    }
}

fn read(path: &Path) -> Result<String, AccessError> {
    fs::read_to_string(path).map_err(|source| AccessError::File {
        path: path.to_owned(),
        source,
    })
}

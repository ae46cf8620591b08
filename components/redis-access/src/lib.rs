//! A connection to Redis: made when it is needed, kept until it is let go of, with credentials that are read anew for each.
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, RedisError, TlsCertificates,
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
    #[error(
        "{path} holds no certificate in PEM; it is to hold the one that Redis' certificate is signed with"
    )]
    Authority {
        path: PathBuf,
        source: Option<RedisError>,
    },
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
            Some(path) => trusting(target, path)?,
            None => Client::open(target).map_err(wrong)?,
        };
        let patience = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(self.answer));
        client
            .get_multiplexed_async_connection_with_config(&patience)
            .await
            .map_err(wrong)
    }
}

/// A client that knows Redis by the authority in this file. A file without any would only show when Redis is refused by it.
fn trusting(target: ConnectionInfo, path: &Path) -> Result<Client, AccessError> {
    let text = read(path)?;
    let useless = |source| AccessError::Authority {
        path: path.to_owned(),
        source,
    };
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return Err(useless(None));
    }
    let trusted = TlsCertificates {
        client_tls: None,
        root_cert: Some(text.into_bytes()),
    };
    Client::build_with_tls(target, trusted).map_err(|source| match source.kind() {
        ErrorKind::InvalidClientConfig => AccessError::Connect { source },
        _ => useless(Some(source)),
    })
}

fn read(path: &Path) -> Result<String, AccessError> {
    fs::read_to_string(path).map_err(|source| AccessError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::testing::RedisServer;
    use super::*;

    async fn refused(url: &str, authority: &[u8]) -> AccessError {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        fs::write(&path, authority).unwrap();
        let access = Access::new(None, Some(path), Duration::from_secs(1));
        let target = url.into_connection_info().unwrap();
        access.get(target).await.unwrap_err()
    }

    #[tokio::test]
    async fn an_authority_that_is_no_pem_is_said_to_be_none_and_by_its_name() {
        let broken = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
        for text in [b"nothing of the kind".as_slice(), b"", broken] {
            let error = refused("rediss://127.0.0.1:1", text).await;
            assert!(matches!(error, AccessError::Authority { .. }), "{error:?}");
            let words = error.to_string();
            assert!(words.contains("/ca.crt holds no certificate"), "{words}");
        }
        // Bytes that are no text at all cannot even be read.
        let error = refused("rediss://127.0.0.1:1", &[0xff, 0xfe]).await;
        assert!(matches!(error, AccessError::File { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn redis_is_known_by_who_signed_its_certificate_and_by_its_name() {
        let server = RedisServer::over_tls();
        let authority = server.credentials().join("ca.crt");
        let asked = async |host: &str, authority: &Path| {
            let access = Access::new(None, Some(authority.to_owned()), Duration::from_secs(5));
            let url = format!("rediss://{host}:{}", server.port());
            access.get(url.into_connection_info().unwrap()).await
        };
        let mut connection = answers(|| asked("127.0.0.1", &authority)).await;
        let pong: String = redis::cmd("PING")
            .query_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(pong, "PONG");

        let other = RedisServer::over_tls();
        for (host, authority, words) in [
            (
                "127.0.0.1",
                other.credentials().join("ca.crt"),
                "BadSignature",
            ),
            ("localhost", authority, "not valid for name"),
        ] {
            let error = asked(host, &authority).await.err().unwrap();
            let said = format!("{:?}", std::error::Error::source(&error));
            assert!(said.contains(words), "{said}");
        }
    }

    /// It takes a moment to listen.
    async fn answers<T>(ask: impl AsyncFn() -> Result<T, AccessError>) -> T {
        for _ in 0..100 {
            if let Ok(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ask().await.unwrap()
    }
}

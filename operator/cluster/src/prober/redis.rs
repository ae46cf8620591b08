//! Redis: log in, write, read back, look at its own account of itself.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, TlsCertificates, aio::MultiplexedConnection, cmd,
};

use super::{ProbeError, Values};

const STEP: Duration = Duration::from_secs(2);
/// Between two looks for an entry.
const AGAIN: Duration = Duration::from_millis(200);
/// The probe key vanishes by itself should the probe be cut off.
const EXPIRY_SECONDS: u32 = 60;

/// How to log in.
pub(super) struct Login {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    /// Who signed Redis' certificate, in PEM. Absent: no TLS.
    pub(super) authority: Option<String>,
}

/// Waits until the last entry of a stream holds `token`. Whoever calls it sets the limit.
pub(super) async fn await_entry(
    address: &str,
    login: Login,
    stream: &str,
    token: &str,
) -> Result<(), ProbeError> {
    let mut connection = connect(address, login).await?;
    loop {
        let entries: Vec<(String, Vec<String>)> = cmd("XREVRANGE")
            .arg(stream)
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1)
            .query_async(&mut connection)
            .await
            .map_err(|error| ProbeError::Redis(format!("XREVRANGE of {stream}: {error}")))?;
        let mut fields = entries.iter().flat_map(|(_, fields)| fields);
        if fields.any(|field| field.contains(token)) {
            return Ok(());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

pub(super) async fn read_write(
    address: &str,
    login: Login,
    key: &str,
) -> Result<Values, ProbeError> {
    let mut connection = connect(address, login).await?;
    let token = format!("{:016x}", rand::random::<u64>());
    let failed = |doing: &'static str| {
        move |error: RedisError| ProbeError::Redis(format!("{doing}: {error}"))
    };
    let () = cmd("PING")
        .exec_async(&mut connection)
        .await
        .map_err(failed("PING"))?;
    let set = cmd("SET")
        .arg(key)
        .arg(&token)
        .arg("EX")
        .arg(EXPIRY_SECONDS)
        .exec_async(&mut connection)
        .await;
    set.map_err(failed("SET of the probe key"))?;
    let read: Option<String> = cmd("GET")
        .arg(key)
        .query_async(&mut connection)
        .await
        .map_err(failed("GET of the probe key"))?;
    // Another replica or operator may have written in between; an empty answer means the write was lost.
    if read.is_none() {
        return Err(ProbeError::Redis(
            "the probe key was written and is not there".to_owned(),
        ));
    }
    let () = cmd("DEL")
        .arg(key)
        .exec_async(&mut connection)
        .await
        .map_err(failed("DEL of the probe key"))?;
    let info: String = cmd("INFO")
        .query_async(&mut connection)
        .await
        .map_err(failed("INFO"))?;
    Ok(values(&info))
}

async fn connect(address: &str, login: Login) -> Result<MultiplexedConnection, ProbeError> {
    let Login {
        username,
        password,
        authority,
    } = login;
    let wrong = |error: RedisError| ProbeError::Connect(error.to_string());
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| ProbeError::Connect(format!("{address} has no port")))?;
    let host = host.to_owned();
    let port: u16 = port
        .parse()
        .map_err(|_| ProbeError::Connect(format!("{address} has no port")))?;
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(username) = username {
        login = login.set_username(username);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    let target = if authority.is_some() {
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let target: ConnectionInfo = target
        .into_connection_info()
        .map_err(wrong)?
        .set_redis_settings(login);
    let client = match authority {
        None => Client::open(target),
        Some(pem) => {
            let trusted = TlsCertificates {
                client_tls: None,
                root_cert: Some(pem.into_bytes()),
            };
            Client::build_with_tls(target, trusted)
        }
    };
    let patience = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(STEP))
        .set_response_timeout(Some(STEP));
    let connection = client
        .map_err(wrong)?
        .get_multiplexed_async_connection_with_config(&patience)
        .await;
    connection.map_err(|error| match error.kind() {
        redis::ErrorKind::AuthenticationFailed => ProbeError::Redis(format!("log in: {error}")),
        _ => ProbeError::Connect(error.to_string()),
    })
}

/// What the catalog asks for, from the text of `INFO`.
fn values(info: &str) -> Values {
    let fields = info.lines().filter_map(|line| line.split_once(':'));
    fields
        .filter_map(|(name, value)| {
            let value = value.trim();
            let (name, value) = match name {
                "used_memory" | "maxmemory" | "aof_enabled" | "loading" => {
                    (name, value.parse().ok()?)
                }
                "aof_last_write_status" => {
                    ("aof_last_write_ok", f64::from(u8::from(value == "ok")))
                }
                _ => return None,
            };
            Some((name.to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use redis_access::testing::RedisServer;

    use super::*;

    #[test]
    fn info_is_read_for_memory_and_persistence() {
        let info = "# Memory\r\nused_memory:1024\r\nmaxmemory:2048\r\n# Persistence\r\nloading:0\r\naof_enabled:1\r\naof_last_write_status:ok\r\n";
        let wanted = [
            ("used_memory", 1024.0),
            ("maxmemory", 2048.0),
            ("loading", 0.0),
            ("aof_enabled", 1.0),
            ("aof_last_write_ok", 1.0),
        ];
        assert_eq!(
            values(info),
            wanted.map(|(name, value)| (name.to_owned(), value)).into()
        );
    }

    fn vouched_for_by(server: &RedisServer) -> Login {
        let path = server.credentials().join("ca.crt");
        Login {
            username: None,
            password: None,
            authority: Some(fs::read_to_string(path).unwrap()),
        }
    }

    #[tokio::test]
    async fn a_redis_over_tls_is_asked_when_the_authority_named_signed_its_certificate() {
        let server = RedisServer::over_tls();
        let mut values = Err(ProbeError::Redis("not asked yet".to_owned()));
        for _ in 0..100 {
            values = read_write(&server.address(), vouched_for_by(&server), "gloonet:probe").await;
            if values.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let values = values.unwrap();
        assert!(values.contains_key("used_memory"), "{values:?}");

        let other = RedisServer::over_tls();
        let error = read_write(&server.address(), vouched_for_by(&other), "gloonet:probe").await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("certificate"), "{error}");
    }
}

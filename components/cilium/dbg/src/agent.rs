//! Questions to the agent. Every one has a limit in time.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cilium_cni::client::{Answer, Client, ClientError, Lines};
use http::Method;
use serde::de::DeserializeOwned;

use crate::Error;

/// Where the agent listens unless said otherwise.
const SOCKET: &str = "/var/run/cilium/cilium.sock";
/// As upstream's client; maps with many entries take seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// Which agent is asked.
#[derive(Debug, clap::Args)]
pub struct Host {
    /// Socket of the agent, a path or unix://PATH
    #[arg(short = 'H', long, global = true, env = "CILIUM_SOCK", default_value = SOCKET)]
    host: String,
}

impl Host {
    /// # Errors
    /// When it is another kind of address than a socket's.
    pub fn agent(&self) -> Result<Agent, Error> {
        Agent::new(&self.host)
    }
}

#[derive(Debug)]
pub struct Agent {
    socket: PathBuf,
}

impl Agent {
    /// `host` is a path, also as `unix://PATH`.
    ///
    /// # Errors
    /// When it is another kind of address: the agent listens on no network.
    pub fn new(host: &str) -> Result<Self, Error> {
        let path = host.strip_prefix("unix://").unwrap_or(host);
        if path.contains("://") || path.is_empty() {
            return Err(Error::Usage(format!(
                "--host {host:?} is no socket; the agent listens on unix://{SOCKET} only"
            )));
        }
        Ok(Self {
            socket: PathBuf::from(path),
        })
    }

    /// Whether anybody is there to answer.
    ///
    /// # Errors
    /// When that cannot be told.
    pub async fn listens(&self) -> Result<bool, Error> {
        match self.connect().await {
            Ok(_) => Ok(true),
            Err(Error::NotRunning(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str, asked: &str) -> Result<T, Error> {
        self.call(Method::GET, path, asked, LIMIT).await
    }

    pub async fn delete<T: DeserializeOwned>(&self, path: &str, asked: &str) -> Result<T, Error> {
        self.call(Method::DELETE, path, asked, LIMIT).await
    }

    pub async fn lines(&self, path: &str, asked: &str) -> Result<Lines, Error> {
        let answer = self.connect().await?.lines(path, LIMIT).await;
        done(answer, asked)
    }

    /// For what takes the agent longer than a look into what it has.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        asked: &str,
        limit: Duration,
    ) -> Result<T, Error> {
        let answer = self
            .connect()
            .await?
            .call::<Option<T>>(method, path, None::<&()>, limit)
            .await;
        done(answer, asked)?.ok_or_else(|| Error::Refused {
            asked: asked.to_owned(),
            message: "the answer was empty".to_owned(),
        })
    }

    async fn connect(&self) -> Result<Client, Error> {
        Client::connect(Path::new(&self.socket), LIMIT)
            .await
            .map_err(|source| Error::connecting(&self.socket.display().to_string(), source))
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.display().fmt(out)
    }
}

fn done<T>(answer: Result<Answer<T>, ClientError>, asked: &str) -> Result<T, Error> {
    match answer {
        Ok(Answer::Done(value)) => Ok(value),
        Ok(Answer::Refused { message, .. }) => Err(Error::Refused {
            asked: asked.to_owned(),
            message,
        }),
        Err(ClientError::Decode(source)) => Err(Error::Answer {
            asked: asked.to_owned(),
            source,
        }),
        Err(source) => Err(Error::Ask {
            asked: asked.to_owned(),
            source,
        }),
    }
}

/// One segment of a path.
pub fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _infallible = write!(path, "%{byte:02X}");
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_holds_no_slash_and_no_question() {
        assert_eq!(segment("cep-name:shop/web?x"), "cep-name:shop%2Fweb%3Fx");
    }

    #[test]
    fn an_address_of_a_network_is_refused_with_the_cure() {
        let error = Agent::new("tcp://10.0.0.1:80").unwrap_err().to_string();
        assert!(
            error.contains("unix:///var/run/cilium/cilium.sock"),
            "{error}"
        );
    }
}

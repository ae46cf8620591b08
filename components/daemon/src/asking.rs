//! How the API server is asked.

use std::time::Duration;

use kube::{Client, Config, Error};

/// How long an answer is waited for: longer than a watch lasts, which its server ends after 290 s.
const SILENCE: Duration = Duration::from_mins(5);

/// A client for a program that sees to its failures itself, as a kubeconfig or the pod says.
pub async fn client() -> Result<Client, Error> {
    let config = Config::infer().await.map_err(Error::InferConfig)?;
    Client::try_from(prudent(config))
}

/// Whoever asks hears of each refusal, and of a server that has gone. By itself the client asks one that is overloaded fifteen times,
/// with pauses that grow to minutes, and says nothing of it.
pub fn prudent(mut config: Config) -> Config {
    config.default_retry = false;
    config.read_timeout = Some(SILENCE);
    // The time in which a connection lay idle does not count.
    config.reset_reader_on_write = true;
    config
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode};
    use tokio::{net::TcpListener, time::timeout};

    use super::*;

    #[tokio::test]
    async fn a_server_that_has_no_time_is_heard_at_once() {
        // Several providers are linked in, and the client would not know which to take.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let busy = Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE);
        tokio::spawn(async { axum::serve(listener, busy).await });
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let client = Client::try_from(prudent(config)).unwrap();
        let asked = timeout(Duration::from_secs(2), client.apiserver_version()).await;
        let Ok(Err(Error::Api(status))) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(status.code, 503);
    }
}

//! Asking others over plain HTTP. Who answers may not be who was meant: an answer has an end, and leads nowhere else.

use std::time::Duration;

use reqwest::{Client, Response, redirect::Policy};

/// Why an answer is not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the answer ends in the middle")]
    Http {
        #[from]
        source: reqwest::Error,
    },
    #[error("the answer is larger than {most} bytes")]
    Large { most: usize },
}

/// A client that waits this long for a whole answer.
pub fn client(answer: Duration) -> Result<Client, reqwest::Error> {
    // Images carry no authorities, and the library would not start without any.
    Client::builder()
        .timeout(answer)
        .tls_certs_only([])
        .redirect(Policy::none())
        .build()
}

/// The body of an answer, if it has no more than `most` bytes.
pub async fn body(mut answer: Response, most: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        if body.len() + piece.len() > most {
            return Err(BodyError::Large { most });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use axum::{Router, response::Redirect, routing::get};
    use tokio::net::TcpListener;

    use super::*;

    async fn ask(path: &str) -> Response {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let routes = Router::new()
            .route("/ten", get(async || "0123456789"))
            .route("/elsewhere", get(async || Redirect::temporary("/ten")));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let client = client(Duration::from_secs(10)).unwrap();
        client.get(url).send().await.unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_limit_and_refused_beyond() {
        let whole = body(ask("/ten").await, 10).await.unwrap();
        assert_eq!(whole, b"0123456789");
        let error = body(ask("/ten").await, 9).await.unwrap_err();
        assert_eq!(error.to_string(), "the answer is larger than 9 bytes");
    }

    #[tokio::test]
    async fn nobody_is_followed_elsewhere() {
        let answer = ask("/elsewhere").await;
        assert_eq!(answer.status().as_u16(), 307);
    }
}

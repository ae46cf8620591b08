//! In the place of `json-mock`: answers with JSON, and says who asked.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::response::Json;
use axum::routing::{any, get};
use axum::{Router, http::StatusCode};
use serde_json::{Value, json};

/// Its paths; everything else is not there, so that a test that asks for more fails and does not pass by chance.
pub fn router() -> Router {
    Router::new()
        .route("/", any(known))
        .route("/public", any(known))
        .route("/private", any(known))
        .route("/client-ip", get(client_ip))
        .fallback(|| async { StatusCode::NOT_FOUND })
}

async fn known() -> Json<Value> {
    Json(json!({"stand-in": "json-mock"}))
}

async fn client_ip(ConnectInfo(client): ConnectInfo<SocketAddr>) -> Json<Value> {
    Json(json!({"client-ip": client.ip()}))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    async fn asked(request: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router().into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let ask = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "{request} HTTP/1.0\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    #[tokio::test]
    async fn the_paths_of_the_tests_are_answered_and_no_others() {
        assert!(asked("GET /").await.contains("200 OK"));
        assert!(asked("POST /public").await.contains("200 OK"));
        assert!(asked("GET /other").await.contains("404 Not Found"));
    }

    #[tokio::test]
    async fn a_client_is_told_which_address_it_was_seen_with() {
        let answer = asked("GET /client-ip").await;
        assert!(answer.ends_with(r#"{"client-ip":"127.0.0.1"}"#), "{answer}");
    }
}

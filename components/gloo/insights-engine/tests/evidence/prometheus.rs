//! Stand-ins for a Prometheus, each with one behaviour.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use futures::stream;
use tokio::net::TcpListener;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// One sample about the cluster for whatever is asked.
    Truth(f64),
    /// This, for whatever is asked.
    Says(u16, &'static str),
    /// Takes the question and never answers.
    Silent,
    /// Answers without an end, slowly.
    Endless,
    /// Answers without an end, fast.
    Flood,
    /// Sends whoever asks elsewhere: to itself.
    Elsewhere,
}

macro_rules! vector {
    ($rows:literal) => {
        concat!(
            r#"{"status": "success", "data": {"resultType": "vector", "result": ["#,
            $rows,
            "]}}"
        )
    };
}

pub(crate) const LIES: [(&str, Behaviour); 15] = [
    ("empty", Behaviour::Says(200, vector!(""))),
    (
        "NaN",
        Behaviour::Says(
            200,
            vector!(r#"{"metric": {"cluster_name": "west"}, "value": [1, "NaN"]}"#),
        ),
    ),
    (
        "infinite",
        Behaviour::Says(
            200,
            vector!(r#"{"metric": {"cluster_name": "west"}, "value": [1, "-Inf"]}"#),
        ),
    ),
    (
        "a word for a value",
        Behaviour::Says(
            200,
            vector!(r#"{"metric": {"cluster_name": "west"}, "value": [1, "none"]}"#),
        ),
    ),
    (
        "a number for a text",
        Behaviour::Says(
            200,
            vector!(r#"{"metric": {"cluster_name": "west"}, "value": [1, 0]}"#),
        ),
    ),
    (
        "a list for a label",
        Behaviour::Says(
            200,
            vector!(r#"{"metric": {"cluster_name": ["west"]}, "value": [1, "0"]}"#),
        ),
    ),
    (
        "a series twice",
        Behaviour::Says(
            200,
            vector!(
                r#"{"metric": {"cluster_name": "west"}, "value": [1, "0"]}, {"metric": {"cluster_name": "west"}, "value": [1, "0"]}"#
            ),
        ),
    ),
    (
        "a histogram of a later version",
        Behaviour::Says(
            200,
            vector!(
                r#"{"metric": {"cluster_name": "west"}, "histogram": [1, {"count": "0", "sum": "0"}]}"#
            ),
        ),
    ),
    (
        "a matrix",
        Behaviour::Says(
            200,
            r#"{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"cluster_name": "west"}, "values": [[1, "0"]]}]}}"#,
        ),
    ),
    (
        "a page for people",
        Behaviour::Says(200, "<html><body>Welcome</body></html>"),
    ),
    (
        "another API",
        Behaviour::Says(404, r#"{"error": "no /api/v1, ask /api/v2"}"#),
    ),
    (
        "overloaded",
        Behaviour::Says(
            503,
            r#"{"status": "error", "errorType": "timeout", "error": "query timed out"}"#,
        ),
    ),
    (
        "success that is none",
        Behaviour::Says(
            502,
            vector!(r#"{"metric": {"cluster_name": "west"}, "value": [1, "0"]}"#),
        ),
    ),
    ("a flood", Behaviour::Flood),
    ("elsewhere", Behaviour::Elsewhere),
];

/// Serves until the test ends; its URL.
pub(crate) async fn start(behaviour: Behaviour) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/api/v1/query", any(async move || answer(behaviour).await));
    let routes = routes.route("/elsewhere", any(async || truth(0.0)));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

fn truth(value: f64) -> String {
    format!(
        r#"{{"status": "success", "data": {{"resultType": "vector", "result": [{{"metric": {{"cluster_name": "west", "cluster": "west"}}, "value": [1, "{value}"]}}]}}}}"#
    )
}

async fn answer(behaviour: Behaviour) -> Response {
    match behaviour {
        Behaviour::Truth(value) => truth(value).into_response(),
        Behaviour::Says(status, body) => {
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Endless => pieces(1, Duration::from_millis(100)),
        Behaviour::Flood => pieces(64 << 10, Duration::ZERO),
        Behaviour::Elsewhere => (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, "/elsewhere")],
        )
            .into_response(),
    }
}

fn pieces(length: usize, pause: Duration) -> Response {
    let piece = Bytes::from(vec![b' '; length]);
    let pieces = stream::unfold(piece, move |piece: Bytes| async move {
        tokio::time::sleep(pause).await;
        Some((Ok::<_, std::io::Error>(piece.clone()), piece))
    });
    Body::from_stream(pieces).into_response()
}

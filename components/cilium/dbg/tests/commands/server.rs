//! Somebody in the agent's place, with fixed answers by path.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cilium_dbg::{Arguments, Error, run};
use clap::Parser as _;
use tokio::net::UnixListener;

pub(crate) struct Server {
    folder: tempfile::TempDir,
}

type Answers = Arc<BTreeMap<String, String>>;

impl Server {
    /// `answers`: path below /v1 with its body, as `GET /v1/path`.
    pub(crate) fn new(answers: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("cilium.sock")).unwrap();
        let answers: Answers = Arc::new(
            answers
                .iter()
                .map(|(path, body)| ((*path).to_owned(), (*body).to_owned()))
                .collect(),
        );
        let router = Router::new().fallback(answer).with_state(answers);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { folder }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("cilium.sock")
    }

    /// What a command prints, and how it ends.
    pub(crate) async fn run(&self, command: &str) -> (String, Result<(), Error>) {
        let socket = self.socket();
        let mut words = vec!["cilium-dbg", "--host", socket.to_str().unwrap()];
        words.extend(command.split_whitespace());
        let arguments = Arguments::try_parse_from(words).unwrap();
        let mut out = Vec::new();
        let ended = run(&arguments, &mut out).await;
        (String::from_utf8(out).unwrap(), ended)
    }

    /// What a command prints that succeeds.
    pub(crate) async fn prints(&self, command: &str) -> String {
        let (out, ended) = self.run(command).await;
        ended.unwrap();
        out
    }
}

async fn answer(State(answers): State<Answers>, request: Request) -> Response {
    let asked = format!("{} {}", request.method(), request.uri().path());
    match answers.get(&asked) {
        Some(body) => body.clone().into_response(),
        None => (
            StatusCode::NOT_FOUND,
            format!(r#"{{"message":"nothing at {asked}"}}"#),
        )
            .into_response(),
    }
}

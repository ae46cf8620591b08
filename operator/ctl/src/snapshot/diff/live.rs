//! What the management server holds now.

use std::{fs, path::Path};

use gloo_api::names::{MANAGEMENT_SERVER, SERVER_STATS_PORT};
use serde_json::Value;

use super::{Arguments, DiffError};
use crate::{
    fetch,
    forward::{self, Answer, Question},
};

/// Which of its two snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Which {
    /// What it was told.
    Input,
    /// What it wants.
    Output,
}

impl Which {
    fn path(self) -> &'static str {
        match self {
            Self::Input => "/snapshots/input",
            Self::Output => "/snapshots/output",
        }
    }
}

pub(super) async fn read(
    kubeconfig: Option<&Path>,
    given: &Arguments,
    which: Which,
) -> Result<(String, Value), DiffError> {
    let question = question(which, given.token_file.as_deref())?;
    let client = fetch::client(kubeconfig).await.map_err(DiffError::Fetch)?;
    let answer = forward::ask(client, &question).await;
    document(&question, answer.map_err(DiffError::Forward)?)
}

pub(super) fn question(which: Which, token: Option<&Path>) -> Result<Question, DiffError> {
    let token = token.map(|file| {
        let read = fs::read_to_string(file);
        read.map(|text| text.trim().to_owned())
            .map_err(|source| DiffError::Read {
                file: file.to_owned(),
                source,
            })
    });
    Ok(Question {
        app: MANAGEMENT_SERVER,
        port: SERVER_STATS_PORT,
        path: which.path(),
        token: token.transpose()?,
    })
}

/// The snapshot, and what it is called.
pub(super) fn document(question: &Question, answer: Answer) -> Result<(String, Value), DiffError> {
    let path = question.path;
    let Answer { pod, code, body } = answer;
    if !code.is_success() {
        let words = super::text::plain(&String::from_utf8_lossy(&body));
        return Err(DiffError::Refused { pod, path, words });
    }
    super::document(format!("{path} of pod {pod}"), &body)
}

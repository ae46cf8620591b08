//! Asks the engine.

use gloo_api::names::{INSIGHTS, INSIGHTS_API_PORT};
use gloo_insights::Overview;
use kube::Client;

use crate::forward::{self, ForwardError, Question};

const OVERVIEW: Question = Question {
    app: INSIGHTS,
    port: INSIGHTS_API_PORT,
    path: "/v1/insights",
    token: None,
};

/// The engine did not answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Forward(ForwardError),
    #[error("the engine has nothing to say yet: {words}")]
    NotYet { words: String },
    #[error("the answer of pod {pod} is not understood; is this gloonet of its release?")]
    Parse {
        pod: String,
        source: serde_json::Error,
    },
}

pub(super) async fn ask(client: Client) -> Result<Overview, EngineError> {
    let answer = forward::ask(client, &OVERVIEW).await;
    let answer = answer.map_err(EngineError::Forward)?;
    if !answer.code.is_success() {
        let words = String::from_utf8_lossy(&answer.body).into_owned();
        return Err(EngineError::NotYet { words });
    }
    serde_json::from_slice(&answer.body).map_err(|source| EngineError::Parse {
        pod: answer.pod,
        source,
    })
}

//! Traffic that was observed, as Prometheus has it; what dry runs are held against.

use std::{sync::Arc, time::Duration};

use gloo_api::ClusterName;
use gloo_translate::{
    Slot,
    dry_run::{Pair, QUERY, Side},
};
use gloonet_daemon::{
    error::chain,
    prometheus::{Prometheus, QueryError},
};
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{decode::sentence, shared::Shared};

const ASK: Duration = Duration::from_mins(1);
const ANSWER: Duration = Duration::from_secs(10);
/// Bytes of an answer. A pair has about 200.
const LARGEST: usize = 32 << 20;
/// Pairs that are kept; a query that finds more is about too large a fleet for a list.
const PAIRS: usize = 100_000;

/// What is known of traffic.
#[derive(Clone, Debug, PartialEq)]
pub enum Flows {
    Pairs(Vec<Pair>),
    /// Nothing, and why.
    Unknown(String),
}

impl Default for Flows {
    fn default() -> Self {
        Self::Unknown("Prometheus was not asked yet".to_owned())
    }
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    result: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    metric: Labels,
    value: (f64, String),
}

#[derive(Deserialize)]
struct Labels {
    /// Set by the gateway, from who sent it.
    cluster_name: String,
    source_namespace: String,
    source_workload: String,
    destination_namespace: String,
    destination_workload: String,
}

/// Asks from time to time, until `closing`.
pub async fn run(shared: Arc<Shared>, url: Option<String>, closing: CancellationToken) {
    let Some(url) = url else {
        let why = "no Prometheus is configured".to_owned();
        shared.state().flows = Flows::Unknown(why);
        return;
    };
    let prometheus = match Prometheus::new(&url, ANSWER, LARGEST) {
        Ok(prometheus) => prometheus,
        Err(error) => {
            tracing::error!(%error, "there is no HTTP client; dry runs list nothing");
            shared.state().flows = Flows::Unknown(sentence(&error.to_string()));
            return;
        }
    };
    let mut ask = interval(ASK);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = ask.tick() => {}
        }
        // Without a dry run there is nothing to ask for.
        if shared.state().translator.trials().next().is_none() {
            continue;
        }
        let flows = match query(&prometheus).await {
            Ok(pairs) => Flows::Pairs(pairs),
            Err(error) => {
                let why = sentence(&chain(&error));
                tracing::warn!(reason = why, "dry runs list nothing");
                Flows::Unknown(why)
            }
        };
        let mut state = shared.state();
        state.flows = flows;
        shared.look_everywhere(&state);
    }
}

async fn query(prometheus: &Prometheus) -> Result<Vec<Pair>, QueryError> {
    let Data { result } = prometheus.query(QUERY).await?;
    Ok(result.into_iter().take(PAIRS).filter_map(pair).collect())
}

fn pair(row: Row) -> Option<Pair> {
    let Labels {
        cluster_name,
        source_namespace,
        source_workload,
        destination_namespace,
        destination_workload,
    } = row.metric;
    let cluster: ClusterName = cluster_name.parse().ok()?;
    let side = |namespace, workload| Side {
        slot: Slot {
            cluster: cluster.clone(),
            namespace,
        },
        workload,
    };
    Some(Pair {
        source: side(source_namespace, source_workload),
        destination: side(destination_namespace, destination_workload),
        flows: row.value.1.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{
        Router,
        body::{Body, Bytes},
        http::StatusCode,
        response::{IntoResponse, Redirect, Response},
        routing::any,
    };
    use futures::stream;
    use tokio::net::TcpListener;

    use super::*;

    /// What is made of a Prometheus that answers so.
    async fn asked(answer: fn() -> Response) -> Result<Vec<Pair>, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new()
            .route("/api/v1/query", any(async move || answer()))
            .route("/elsewhere", any(async || truth()));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let pairs = query(&Prometheus::new(&url, ANSWER, LARGEST).unwrap()).await;
        pairs.map_err(|error| chain(&error))
    }

    fn truth() -> Response {
        let row = r#"{"metric": {"cluster_name": "west", "source_namespace": "shop", "source_workload": "web",
            "destination_namespace": "bank", "destination_workload": "db"}, "value": [1.5, "12"]}"#;
        let body = format!(r#"{{"status": "success", "data": {{"result": [{row}]}}}}"#);
        body.into_response()
    }

    #[tokio::test]
    async fn a_prometheus_that_is_truthful_is_believed() {
        assert_eq!(asked(truth).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_given_up_where_the_limit_is() {
        let flood = || {
            let piece = Bytes::from(vec![b' '; 64 << 10]);
            Body::from_stream(stream::repeat(Ok::<_, Infallible>(piece))).into_response()
        };
        let said = asked(flood).await.unwrap_err();
        assert!(
            said.ends_with("the answer is larger than 33554432 bytes"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn nobody_is_asked_but_who_was_named_and_an_errors_status_is_none() {
        let said = asked(|| Redirect::temporary("/elsewhere").into_response()).await;
        let words = "what answers is no Prometheus (HTTP 307 Temporary Redirect)";
        let said = said.unwrap_err();
        assert!(said.starts_with(words), "{said}");
        let said = asked(|| (StatusCode::BAD_GATEWAY, truth()).into_response()).await;
        let said = said.unwrap_err();
        assert!(said.starts_with("Prometheus refused the query"), "{said}");
    }

    #[test]
    fn a_row_of_prometheus_is_a_pair_of_the_cluster_that_sent_it() {
        let row = |cluster: &str| -> Row {
            serde_json::from_value(serde_json::json!({
                "metric": {
                    "cluster_name": cluster, "source_namespace": "shop", "source_workload": "web",
                    "destination_namespace": "bank", "destination_workload": "db",
                },
                "value": [1.5, "12"],
            }))
            .unwrap()
        };
        let found = pair(row("west")).unwrap();
        assert_eq!(found.destination.slot.cluster.as_str(), "west");
        assert_eq!(found.destination.slot.namespace, "bank");
        assert!((found.flows - 12.0).abs() < f64::EPSILON);
        assert!(pair(row("Not/A/Name")).is_none());
    }
}

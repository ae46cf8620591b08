//! `/metrics`, and what came in and goes out as JSON.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use gloo_relay::{key::ObjectKey, table::Objects};
use gloonet_daemon::exposition;
use kube::Client;
use serde_json::{Value, json};

use crate::{
    authorize::{self, Denied},
    metrics,
    shared::Shared,
};

#[derive(Clone, Debug)]
struct Served {
    shared: Arc<Shared>,
    client: ClientBox,
}

/// A client has no Debug.
#[derive(Clone)]
struct ClientBox(Client);

impl std::fmt::Debug for ClientBox {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Client")
    }
}

pub fn routes(shared: Arc<Shared>, client: Client) -> Router {
    let measured = Arc::clone(&shared);
    let client = ClientBox(client);
    Router::new()
        .route("/snapshots/input", get(input))
        .route("/snapshots/output", get(output))
        .with_state(Served { shared, client })
        .merge(exposition::routes(move || metrics::text(&measured)))
}

async fn input(State(served): State<Served>, headers: HeaderMap) -> Response {
    if let Err(denied) = allowed(&served, &headers, "/snapshots/input").await {
        return denied;
    }
    let all: BTreeMap<_, _> = {
        let state = served.shared.state();
        let clusters = state.clusters.iter();
        clusters
            .map(|(name, cluster)| (name.to_string(), cluster.objects.clone()))
            .collect()
    };
    answer(document(&all))
}

async fn output(State(served): State<Served>, headers: HeaderMap) -> Response {
    if let Err(denied) = allowed(&served, &headers, "/snapshots/output").await {
        return denied;
    }
    let all: BTreeMap<_, _> = {
        let state = served.shared.state();
        let clusters = state.clusters.iter();
        clusters
            .map(|(name, cluster)| (name.to_string(), cluster.wanted.clone()))
            .collect()
    };
    answer(document(&all))
}

fn answer(document: Vec<u8>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], document).into_response()
}

/// `{cluster: {"apiVersion,kind=Kind": [object]}}`, as Gloo's own scripts group objects. Text is put beside text: read as values all
/// objects would take many times the memory they are held in, for whoever asks.
fn document(all: &BTreeMap<String, Objects>) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (number, (cluster, objects)) in all.iter().enumerate() {
        separate(&mut out, number > 0);
        name(&mut out, cluster);
        out.push(b'{');
        let mut last = None;
        for (key, bytes) in objects {
            let kind = (key.api_version(), key.kind());
            let same = last == Some(kind);
            if !same {
                if last.is_some() {
                    out.extend_from_slice(b"],");
                }
                name(&mut out, &format!("{},kind={}", kind.0, kind.1));
                out.push(b'[');
                last = Some(kind);
            }
            separate(&mut out, same);
            object(&mut out, key, bytes);
        }
        if last.is_some() {
            out.push(b']');
        }
        out.push(b'}');
    }
    out.push(b'}');
    out
}

fn separate(out: &mut Vec<u8>, is_later: bool) {
    if is_later {
        out.push(b',');
    }
}

fn name(out: &mut Vec<u8>, text: &str) {
    out.extend(Value::from(text).to_string().into_bytes());
    out.push(b':');
}

fn object(out: &mut Vec<u8>, key: &ObjectKey, bytes: &Bytes) {
    // As whoever reads the document will: what is no value to it would take all the others with it.
    if serde_json::from_slice::<Value>(bytes).is_ok() {
        out.extend_from_slice(bytes);
    } else {
        let unread = json!({"unreadable": key.to_string()});
        out.extend(unread.to_string().into_bytes());
    }
}

async fn allowed(served: &Served, headers: &HeaderMap, path: &str) -> Result<(), Response> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    authorize::check(&served.client.0, token, path)
        .await
        .map_err(|denied| {
            let code = match &denied {
                Denied::Nobody => StatusCode::UNAUTHORIZED,
                Denied::Forbidden { .. } => StatusCode::FORBIDDEN,
                Denied::Api { source } => {
                    tracing::warn!(%source, "nobody can be told from anybody");
                    StatusCode::SERVICE_UNAVAILABLE
                }
            };
            (code, denied.to_string()).into_response()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_grouped_by_cluster_and_kind_and_one_that_is_no_json_is_named() {
        let object = |api, kind, name, text: &'static [u8]| {
            let key = ObjectKey::new(api, kind, "shop", name).unwrap();
            (key, Bytes::from_static(text))
        };
        let west = [
            object("v1", "Service", "a", br#"{"n": 1}"#),
            object("v1", "Service", "b", br#"{"n": "}"#),
            object("v1", "Service", "c", b"{\"n\": \"\xff\"}"),
            object("v1", "Service", "d", br#"{"n": 1e999}"#),
            object("v1", "Pod", "a", br#"{"n": 2}"#),
            object("apps/v1", "Deployment", "a", br#"{"n": [3]} "#),
        ];
        let all = [
            ("east".to_owned(), Objects::new()),
            ("west".to_owned(), west.into_iter().collect()),
        ];
        let found: Value = serde_json::from_slice(&document(&all.into())).unwrap();
        let expected = json!({"east": {}, "west": {
            "v1,kind=Service": [
                {"n": 1},
                {"unreadable": "v1 Service shop/b"},
                {"unreadable": "v1 Service shop/c"},
                {"unreadable": "v1 Service shop/d"},
            ],
            "v1,kind=Pod": [{"n": 2}],
            "apps/v1,kind=Deployment": [{"n": [3]}],
        }});
        assert_eq!(found, expected);
        assert_eq!(document(&BTreeMap::new()), b"{}");
    }
}

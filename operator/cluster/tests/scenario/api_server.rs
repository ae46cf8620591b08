//! A small API server in memory: objects by path, server-side apply with field managers, UIDs and resource versions.
//!
//! What it claims about Kubernetes is anchored by the tests against the lab's real API server.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde_json::{Value, json};

type Bytes = <Full<hyper::body::Bytes> as hyper::body::Body>::Data;

/// One request, as `VERB path?query`.
pub(crate) type Line = String;

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Value>,
    /// Who last wrote the object's content: a conflict for everybody else, unless forced.
    owners: BTreeMap<String, String>,
    lines: Vec<Line>,
    version: u64,
    down: bool,
}

/// The server; clones share its state.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiServer {
    state: Arc<Mutex<State>>,
}

impl ApiServer {
    pub(crate) fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body
                    .collect()
                    .await
                    .map_err(|error| error.to_string())?
                    .to_bytes();
                server.answer(&parts.method, &parts.uri, &body)
            }
        });
        kube::Client::new(service, "default")
    }

    /// Requests since the last call.
    pub(crate) fn lines(&self) -> Vec<Line> {
        std::mem::take(&mut self.state.lock().unwrap().lines)
    }

    /// Puts an object there as `manager` would.
    pub(crate) fn put(&self, path: &str, object: Value, manager: &str) {
        let mut state = self.state.lock().unwrap();
        state.write(path, object);
        state.owners.insert(path.to_owned(), manager.to_owned());
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.state.lock().unwrap().objects.get(path).cloned()
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.state.lock().unwrap().down = down;
    }

    fn answer(
        &self,
        method: &Method,
        uri: &http::Uri,
        body: &[u8],
    ) -> Result<Response<Full<Bytes>>, String> {
        let mut state = self.state.lock().unwrap();
        let (path, query) = (
            uri.path().to_owned(),
            uri.query().unwrap_or_default().to_owned(),
        );
        let shown: Vec<_> = query
            .split('&')
            .filter(|part| part.starts_with("force"))
            .collect();
        state.lines.push(
            format!("{method} {path} {}", shown.join("&"))
                .trim()
                .to_owned(),
        );
        if state.down {
            return Err("connection refused".to_owned());
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let (code, answer) = match *method {
            Method::GET => state.read(&path),
            Method::POST => state.create(&path, body),
            Method::PATCH => state.apply(&path, body, &query),
            Method::DELETE => state.delete(&path, &body),
            _ => status(405, "MethodNotAllowed", json!([])),
        };
        Ok(reply(code, &answer))
    }
}

impl State {
    fn write(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let uid = self.objects.get(path).map_or_else(
            || json!(format!("uid-{}", self.version)),
            |old| old["metadata"]["uid"].clone(),
        );
        object["metadata"]["uid"] = uid;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.to_owned(), object.clone());
        object
    }

    fn read(&self, path: &str) -> (u16, Value) {
        self.objects.get(path).map_or_else(
            || status(404, "NotFound", json!([])),
            |found| (200, found.clone()),
        )
    }

    fn create(&mut self, path: &str, body: Value) -> (u16, Value) {
        let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
        if self.objects.contains_key(&path) {
            return status(409, "AlreadyExists", json!([]));
        }
        (201, self.write(&path, body))
    }

    fn apply(&mut self, path: &str, body: Value, query: &str) -> (u16, Value) {
        let manager = query
            .split('&')
            .find_map(|part| part.strip_prefix("fieldManager="))
            .unwrap_or("nobody")
            .to_owned();
        let old = self.objects.get(path);
        let foreign = self.owners.get(path).filter(|owner| **owner != manager);
        if let (Some(old), Some(owner), false) = (old, foreign, query.contains("force=true"))
            && old["data"] != body["data"]
        {
            let message = format!("conflict with \"{owner}\" using v1");
            let cause =
                json!({"reason": "FieldManagerConflict", "message": message, "field": ".data.key"});
            return status(409, "Conflict", json!([cause]));
        }
        if old.is_some_and(|old| {
            old["data"] == body["data"] && old["metadata"]["labels"] == body["metadata"]["labels"]
        }) {
            return (200, self.objects[path].clone());
        }
        self.owners.insert(path.to_owned(), manager);
        (200, self.write(path, body))
    }

    fn delete(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let wanted = &body["preconditions"]["uid"];
        match self.objects.get(path) {
            None => status(404, "NotFound", json!([])),
            Some(found) if !wanted.is_null() && found["metadata"]["uid"] != *wanted => {
                status(409, "Conflict", json!([]))
            }
            Some(_) => (200, self.objects.remove(path).unwrap_or_default()),
        }
    }
}

fn status(code: u16, reason: &str, causes: Value) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason, "details": {"causes": causes}}),
    )
}

fn reply(code: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

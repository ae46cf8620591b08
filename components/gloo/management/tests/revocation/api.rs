//! An API server that knows KubernetesClusters and the Secret with the records of tokens.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use futures::{StreamExt, stream};
use gloo_api::{ClusterName, enrolment::TokenRecord, names};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::broadcast;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What it knows; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    secret: Arc<Mutex<(u64, Secret)>>,
    /// The first is the one whose record is changed.
    clusters: Vec<ClusterName>,
    /// KubernetesClusters that somebody deletes, for whoever watches.
    deleted: broadcast::Sender<ClusterName>,
}

impl Api {
    pub(crate) fn new(clusters: &[ClusterName]) -> Self {
        Self {
            secret: Arc::default(),
            clusters: clusters.to_vec(),
            deleted: broadcast::Sender::new(8),
        }
    }

    /// As `kubectl delete kubernetescluster` does it.
    pub(crate) fn delete(&self, cluster: &ClusterName) {
        self.deleted.send(cluster.clone()).unwrap();
    }

    pub(crate) fn client(&self) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.map(Collected::to_bytes);
                let watch = parts.uri.query().unwrap_or_default().contains("watch=true");
                if watch {
                    return Ok(api.watch());
                }
                let path = parts.uri.path();
                Ok::<Answer, Infallible>(api.answer(&parts.method, path, &body.unwrap_or_default()))
            }
        });
        kube::Client::new(service, "default")
    }

    /// What a person's command does to the record.
    pub(crate) fn change(&self, change: impl FnOnce(Option<TokenRecord>) -> TokenRecord) {
        let mut secret = self.secret.lock().unwrap();
        secret.0 += 1;
        let data = secret.1.data.get_or_insert_default();
        let cluster = self.clusters[0].as_str();
        let before = data.get(cluster);
        let before = before.map(|entry| serde_json::from_slice(&entry.0).unwrap());
        let after = serde_json::to_vec(&change(before)).unwrap();
        data.insert(cluster.to_owned(), ByteString(after));
    }

    fn watch(&self) -> Answer {
        let events = stream::unfold(self.deleted.subscribe(), async |mut deleted| {
            let cluster = deleted.recv().await.ok()?;
            let event = json!({"type": "DELETED", "object": object(&cluster)});
            let line = Bytes::from(format!("{event}\n"));
            Some((Ok(Frame::data(line)), deleted))
        });
        Response::new(StreamBody::new(events.boxed()).boxed_unsync())
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Answer {
        if path.ends_with(names::TOKENS) {
            return self.records(method, body);
        }
        if path.ends_with("/kubernetesclusters") {
            let clusters: Vec<Value> = self.clusters.iter().map(object).collect();
            return whole(200, &list(&clusters));
        }
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "reason": "Forbidden", "message": path});
        whole(403, &status)
    }

    fn records(&self, method: &Method, body: &[u8]) -> Answer {
        let mut secret = self.secret.lock().unwrap();
        if method == Method::PUT {
            let sent: Secret = serde_json::from_slice(body).unwrap();
            if sent.metadata.resource_version != Some(secret.0.to_string()) {
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 409, "reason": "Conflict", "message": "conflict"});
                return whole(409, &status);
            }
            *secret = (secret.0 + 1, sent);
        }
        let mut shown = secret.1.clone();
        shown.metadata.name = Some(names::TOKENS.to_owned());
        shown.metadata.resource_version = Some(secret.0.to_string());
        whole(200, &json!(shown))
    }
}

fn object(cluster: &ClusterName) -> Value {
    json!({
        "apiVersion": "admin.gloo.solo.io/v2", "kind": "KubernetesCluster",
        "metadata": {"name": cluster.as_str(), "namespace": names::NAMESPACE, "generation": 1, "resourceVersion": "2"},
        "spec": {},
    })
}

fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})
}

fn whole(code: u16, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())).boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

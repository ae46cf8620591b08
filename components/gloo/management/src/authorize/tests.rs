use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

const PATH: &str = "/snapshots/input";

/// An API server that knows one token, and what it was asked about.
#[derive(Clone, Default)]
struct ApiServer {
    /// What it says of the bearer's access; `None` is an error.
    allows: Option<Value>,
    /// It fails already when asked who it is.
    knows_nobody: bool,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl ApiServer {
    fn that_says(access: Value) -> Self {
        Self {
            allows: Some(access),
            ..Self::default()
        }
    }

    fn answer(&self, path: &str, sent: &Value) -> (u16, Value) {
        self.asked.lock().unwrap().push(sent.clone());
        let broken = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500, "reason": "InternalError", "message": "etcd"});
        let status = match path {
            "/apis/authentication.k8s.io/v1/tokenreviews" if self.knows_nobody => None,
            "/apis/authentication.k8s.io/v1/tokenreviews" if sent["spec"]["token"] == "good" => {
                let user = json!({"username": "ada", "uid": "7", "groups": ["readers"]});
                Some(json!({"authenticated": true, "user": user}))
            }
            // As the API server says it of a token it does not know; a user beside it is nobody.
            "/apis/authentication.k8s.io/v1/tokenreviews" => Some(
                json!({"authenticated": false, "user": {"username": "eve"}, "error": "invalid bearer token"}),
            ),
            "/apis/authorization.k8s.io/v1/subjectaccessreviews" => self.allows.clone(),
            other => panic!("{other}"),
        };
        let Some(status) = status else {
            return (500, broken);
        };
        let mut review = sent.clone();
        review["status"] = status;
        (201, review)
    }

    fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let sent = serde_json::from_slice(&body).unwrap();
                let (code, said) = api.answer(parts.uri.path(), &sent);
                let mut answer = Response::new(Full::new(Bytes::from(said.to_string())));
                *answer.status_mut() = StatusCode::from_u16(code).unwrap();
                Ok::<_, Infallible>(answer)
            }
        });
        Client::new(service, "default")
    }

    async fn check(&self, token: Option<&str>) -> Result<(), Denied> {
        check(&self.client(), token, PATH).await
    }

    /// How often it was asked anything.
    fn questions(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[tokio::test]
async fn without_a_token_nobody_is_asked_and_nothing_is_shown() {
    let api = ApiServer::that_says(json!({"allowed": true}));
    for token in [None, Some("")] {
        assert!(matches!(api.check(token).await, Err(Denied::Nobody)));
    }
    assert_eq!(api.questions(), 0);
}

#[tokio::test]
async fn a_token_that_the_api_server_does_not_know_is_nobodys() {
    let api = ApiServer::that_says(json!({"allowed": true}));
    assert!(matches!(api.check(Some("bad")).await, Err(Denied::Nobody)));
    // Nobody's access is not asked about.
    assert_eq!(api.questions(), 1);
}

#[tokio::test]
async fn who_may_not_get_the_path_is_told_so_by_name() {
    for access in [
        json!({"allowed": false}),
        // Undecided, with words.
        json!({"allowed": false, "reason": "no rule"}),
        json!({"allowed": false, "denied": true}),
        Value::Null,
    ] {
        let denied = ApiServer::that_says(access).check(Some("good")).await;
        let words =
            "ada may not get /snapshots/input; a ClusterRole with nonResourceURLs grants it";
        assert_eq!(denied.unwrap_err().to_string(), words);
    }
}

#[tokio::test]
async fn an_api_server_that_fails_lets_nobody_in() {
    let broken = ApiServer::default();
    let blind = ApiServer {
        knows_nobody: true,
        ..ApiServer::that_says(json!({"allowed": true}))
    };
    for api in [broken, blind] {
        let denied = api.check(Some("good")).await;
        assert!(matches!(denied, Err(Denied::Api { .. })), "{denied:?}");
    }
}

#[tokio::test]
async fn who_may_get_the_path_is_let_in_and_was_asked_about_as_who_the_token_says() {
    let api = ApiServer::that_says(json!({"allowed": true}));
    api.check(Some("good")).await.unwrap();
    let asked = api.asked.lock().unwrap();
    let access = json!({
        "user": "ada", "uid": "7", "groups": ["readers"],
        "nonResourceAttributes": {"path": PATH, "verb": "get"},
    });
    assert_eq!(asked[1]["spec"], access);
}

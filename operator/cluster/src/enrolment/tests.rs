use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use kube::client::Body;
use serde_json::Value;

use super::*;

/// The Secret with the records behind an API server, and how many writes of somebody else come between a read and our write.
#[derive(Clone, Default)]
struct Api {
    state: Arc<Mutex<(u64, Value, u32)>>,
}

impl Api {
    fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(api.answer(&parts.method, &body))
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, method: &Method, body: &[u8]) -> Response<Full<Bytes>> {
        let mut state = self.state.lock().unwrap();
        let (version, data, others) = &mut *state;
        if *method == Method::PATCH {
            if *others > 0 {
                *others -= 1;
                *version += 1;
            }
            let sent: Value = serde_json::from_slice(body).unwrap();
            if sent["metadata"]["resourceVersion"] != json!(version.to_string()) {
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 409, "reason": "Conflict", "message": "conflict"});
                return whole(409, &status);
            }
            *version += 1;
            for (key, value) in sent["data"].as_object().unwrap() {
                data[key] = value.clone();
            }
        }
        let metadata =
            json!({"name": "tokens", "namespace": "mesh", "resourceVersion": version.to_string()});
        whole(
            200,
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}),
        )
    }

    fn record(&self, cluster: &str) -> TokenRecord {
        let state = self.state.lock().unwrap();
        let entry: ByteString = serde_json::from_value(state.1[cluster].clone()).unwrap();
        serde_json::from_slice(&entry.0).unwrap()
    }
}

fn whole(code: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

fn records() -> SecretName {
    SecretName::new("mesh", "tokens")
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

async fn register_east(api: &Api) -> Enrolment {
    let east = "east".parse().unwrap();
    let made = register(&api.client(), &records(), &east, LONGEST_TTL, now()).await;
    made.unwrap()
}

async fn revoke_east(api: &Api) -> Result<Revocation, EnrolmentError> {
    revoke(&api.client(), &records(), &"east".parse().unwrap(), now()).await
}

#[test]
fn a_token_is_never_printed_by_accident() {
    let enrolment = Enrolment {
        token: "canary".to_owned(),
        expires: Timestamp::UNIX_EPOCH,
    };
    assert!(!format!("{enrolment:?}").contains("canary"));
}

#[tokio::test]
async fn a_revocation_is_written_once_and_its_second_time_changes_nothing() {
    let api = Api::default();
    register_east(&api).await;
    let done = |epoch, changed| Revocation { epoch, changed };
    assert_eq!(revoke_east(&api).await.unwrap(), done(1, true));
    let written = api.state.lock().unwrap().0;
    assert_eq!(revoke_east(&api).await.unwrap(), done(1, false));
    assert_eq!(api.state.lock().unwrap().0, written);
    register_east(&api).await;
    assert_eq!(
        api.record("east").epoch,
        1,
        "a registration revokes nothing"
    );
    assert_eq!(revoke_east(&api).await.unwrap(), done(2, true));
}

#[tokio::test]
async fn a_revocation_between_reads_and_writes_of_others_is_not_lost_and_gives_up_in_the_end() {
    let api = Api::default();
    register_east(&api).await;
    api.state.lock().unwrap().2 = TRIES - 1;
    assert_eq!(revoke_east(&api).await.unwrap().epoch, 1);
    assert_eq!(api.record("east").epoch, 1);
    register_east(&api).await;
    api.state.lock().unwrap().2 = TRIES;
    let failed = revoke_east(&api).await.unwrap_err();
    assert!(matches!(failed, EnrolmentError::Write { .. }), "{failed}");
}

#[tokio::test]
async fn who_was_never_registered_or_has_no_record_is_named_with_the_cure() {
    let api = Api::default();
    let said = revoke_east(&api).await.unwrap_err().to_string();
    assert!(
        said.contains("cluster east in Secret mesh/tokens"),
        "{said}"
    );
    assert!(said.contains("gloonet clusters"), "{said}");
    let garbage = ByteString(b"{".to_vec());
    api.state.lock().unwrap().1 = json!({"east": garbage});
    let said = revoke_east(&api).await.unwrap_err().to_string();
    assert!(said.contains("delete that key"), "{said}");
}

//! The Secrets of one cluster behind a stand-in of its API server, and a real relay server to enrol with.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use gloo_api::{
    ClusterName,
    enrolment::{Token, TokenRecord},
    names,
};
use gloo_relay::{
    client::{self, Local, Server, State, Status},
    enrolment::{EnrolError, Signer},
    fixture,
    proto::{Ack, Hello, Refused, Results, refused::Code},
    server::{Admission, Hub, Limits, Parts, Standing, Stored, Stream, Tokens, serve},
    session::AgentFacts,
    table::{Changes, Incoming, Objects, Source},
    tls::Peer,
};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::client::Body;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::Keeper;
use crate::secrets::Secrets;

const UID: &str = "0000-1111";
const AUTHORITY: &str = "gloo-mesh-mgmt-server.gloo-mesh";

/// The server's memory: one record, and what ends the stream.
struct Memory {
    record: Mutex<(u64, Option<TokenRecord>)>,
    end: watch::Sender<Option<Refused>>,
}

#[tonic::async_trait]
impl Hub for Memory {
    async fn standing(&self, _: &ClusterName) -> Standing {
        match &self.record.lock().unwrap().1 {
            None => Standing::Unknown,
            Some(record) => Standing::Known {
                epoch: record.epoch,
                cluster_uid: record.cluster_uid.clone(),
            },
        }
    }

    async fn admit(&self, _: &Stream, _: &Peer, _: &Hello) -> Result<Admission, Refused> {
        self.end.send_replace(None);
        Ok(Admission {
            held: Incoming::default(),
            desired: watch::Sender::new(None).subscribe(),
            end: self.end.subscribe(),
        })
    }

    async fn observed(&self, _: &Stream, _: Changes, _: bool) {}
    async fn acked(&self, _: &Stream, _: Ack) {}
    async fn results(&self, _: &Stream, _: Results) {}
    async fn closed(&self, _: &Stream, _: String) {}
}

#[tonic::async_trait]
impl Tokens for Memory {
    async fn read(&self, _: &ClusterName) -> Result<Option<Stored>, Box<dyn Error + Send + Sync>> {
        let record = self.record.lock().unwrap();
        let version = record.0.to_string();
        Ok(record.1.clone().map(|record| Stored { record, version }))
    }

    async fn store(
        &self,
        _: &ClusterName,
        stored: Stored,
    ) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let mut record = self.record.lock().unwrap();
        let same = record.0.to_string() == stored.version;
        if same {
            *record = (record.0 + 1, Some(stored.record));
        }
        Ok(same)
    }

    async fn refused(&self, _: &ClusterName, _: EnrolError) {}
}

struct Quiet;

#[tonic::async_trait]
impl Local for Quiet {
    async fn desired(&self, _: Objects) {}
    fn opened(&self) {}
    async fn settled(&self, _: u64) {}
}

type Data = BTreeMap<String, ByteString>;

pub(super) struct Kit {
    secrets: Arc<Mutex<BTreeMap<String, Data>>>,
    memory: Arc<Memory>,
    address: SocketAddr,
    _files: tempfile::TempDir,
    closing: CancellationToken,
    _guard: DropGuard,
}

impl Kit {
    pub(super) async fn start() -> Self {
        let authority = fixture::authority("relay");
        let (tls, files) = fixture::server_tls(&authority, &authority, AUTHORITY);
        let memory = Arc::new(Memory {
            record: Mutex::default(),
            end: watch::Sender::new(None),
        });
        let life = Duration::from_mins(10);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closing = CancellationToken::new();
        let parts = Parts {
            tls,
            hub: memory.clone(),
            tokens: memory.clone(),
            signer: Arc::new(Signer::new(&authority.0, &authority.1, life).unwrap()),
            telemetry: None,
            limits: Limits::default(),
            version: "test".to_owned(),
            instance: "server".to_owned(),
        };
        tokio::spawn(serve(listener, parts, closing.clone()));
        let kit = Self {
            secrets: Arc::default(),
            memory,
            address,
            _files: files,
            _guard: closing.clone().drop_guard(),
            closing,
        };
        kit.put(names::ROOT, "ca.crt", &authority.0);
        kit.empty(names::CLIENT_TLS);
        kit
    }

    /// An agent whose keeper takes a turn when the test says so.
    pub(super) fn agent(&self) -> (Keeper, watch::Receiver<Status>) {
        let server = Server {
            address: self.address.to_string(),
            authority: AUTHORITY.to_owned(),
        };
        let (credentials, revoked) = (watch::Sender::new(None), watch::Sender::new(None));
        let status = watch::Sender::new(Status::new());
        let (received, reported) = (credentials.subscribe(), status.subscribe());
        let keeper = Keeper {
            secrets: Secrets::new(self.client()),
            server: server.clone(),
            cluster: west(),
            cluster_uid: UID.to_owned(),
            credentials,
            revoked: revoked.subscribe(),
            trouble: watch::Sender::new(None),
        };
        let parts = client::Parts {
            server,
            facts: AgentFacts {
                version: "test".to_owned(),
                cluster_uid: UID.to_owned(),
                instance: "agent".to_owned(),
                started_ms: 1,
                capabilities: Vec::new(),
            },
            credentials: received,
            observed: watch::Sender::new(Some(Source::default())).subscribe(),
            results: watch::Sender::new(Results::default()).subscribe(),
            status,
            revoked,
            local: Arc::new(Quiet),
        };
        tokio::spawn(client::run(parts, self.closing.clone()));
        (keeper, reported)
    }

    pub(super) async fn reaches(status: &mut watch::Receiver<Status>, state: State) {
        let reached = status.wait_for(|status| status.state == state);
        let reached = tokio::time::timeout(Duration::from_secs(20), reached).await;
        assert!(reached.is_ok(), "not {state:?}");
    }

    /// As `gloonet cluster register` does it.
    pub(super) fn register(&self) {
        let token = Token::new(rand::random());
        let (now, ttl) = (Timestamp::now(), SignedDuration::from_mins(10));
        let mut record = self.memory.record.lock().unwrap();
        let made = TokenRecord::new(&west(), &token, now, ttl, record.1.as_ref());
        *record = (record.0 + 1, Some(made));
        self.put(names::TOKEN, "token", &token.reveal());
    }

    /// As `gloonet cluster revoke` does it, and the server when it sees that.
    pub(super) fn revoke(&self) {
        let revoked = self.record().revoked(Timestamp::now()).unwrap();
        self.put_back(revoked);
        let (code, reason) = (Code::Revoked.into(), "revoked".to_owned());
        let end = Some(Refused { code, reason });
        self.memory.end.send_replace(end);
    }

    pub(super) fn record(&self) -> TokenRecord {
        self.memory.record.lock().unwrap().1.clone().unwrap()
    }

    pub(super) fn put_back(&self, record: TokenRecord) {
        let mut stored = self.memory.record.lock().unwrap();
        *stored = (stored.0 + 1, Some(record));
    }

    pub(super) fn value(&self, secret: &str, key: &str) -> Option<String> {
        let secrets = self.secrets.lock().unwrap();
        let value = secrets.get(secret)?.get(key)?;
        String::from_utf8(value.0.clone()).ok()
    }

    pub(super) fn empty(&self, secret: &str) {
        let mut secrets = self.secrets.lock().unwrap();
        secrets.insert(secret.to_owned(), Data::new());
    }

    fn put(&self, secret: &str, key: &str, value: &str) {
        let data = Data::from([(key.to_owned(), ByteString(value.as_bytes().to_vec()))]);
        let mut secrets = self.secrets.lock().unwrap();
        secrets.insert(secret.to_owned(), data);
    }

    fn client(&self) -> kube::Client {
        let secrets = self.secrets.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let secrets = secrets.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let path = parts.uri.path().to_owned();
                let name = path.rsplit('/').next().unwrap();
                let mut secrets = secrets.lock().unwrap();
                if parts.method == Method::PUT {
                    let sent: Secret = serde_json::from_slice(&body).unwrap();
                    secrets.insert(name.to_owned(), sent.data.unwrap_or_default());
                }
                Ok::<_, Infallible>(answer(name, secrets.get(name)))
            }
        });
        kube::Client::new(service, "default")
    }
}

fn answer(name: &str, data: Option<&Data>) -> Response<Full<Bytes>> {
    let Some(data) = data else {
        let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound", "message": name});
        let mut answer = Response::new(Full::new(status.to_string().into()));
        *answer.status_mut() = http::StatusCode::NOT_FOUND;
        return answer;
    };
    let mut secret = Secret {
        data: Some(data.clone()),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.to_owned());
    let text = serde_json::to_string(&secret).unwrap();
    Response::new(Full::new(text.into()))
}

fn west() -> ClusterName {
    "west".parse().unwrap()
}

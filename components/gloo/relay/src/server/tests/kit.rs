//! A server with a hub that remembers, and agents to connect to it.

use std::{
    collections::HashMap,
    error::Error,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use gloo_api::enrolment::{Token, TokenRecord};
use jiff::{SignedDuration, Timestamp};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::*;
use crate::{
    client::{self, Credentials, KeyRequest, Local, Server, State, Status},
    enrolment::{EnrolError, Signed},
    fixture,
    key::ObjectKey,
    session::AgentFacts,
    table::{Objects, Room, Seat},
    tls::Identity,
};

pub(super) const UID: &str = "0000-1111";
/// Bytes for the objects of all clusters.
pub(super) const ROOM: usize = 32 << 20;
pub(super) const AUTHORITY: &str = "gloo-mesh-mgmt-server.gloo-mesh";

/// What the hub saw of a cluster.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) objects: Objects,
    pub(super) fulls: usize,
    pub(super) deltas: usize,
    pub(super) closed: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) seen: Mutex<HashMap<String, Seen>>,
    pub(super) epoch: Mutex<u64>,
    pub(super) desired: watch::Sender<Option<Source>>,
    pub(super) end: watch::Sender<Option<Refused>>,
    pub(super) records: Mutex<HashMap<String, (TokenRecord, u64)>>,
    /// Whom other replicas let in instead.
    pub(super) elsewhere: Mutex<Option<Refused>>,
    /// For the objects of all clusters.
    pub(super) room: Arc<Room>,
    pub(super) alerts: Mutex<Vec<EnrolError>>,
    /// Agents that were not served, and what they were told.
    pub(super) refusals: Mutex<Vec<(String, Code)>>,
}

#[tonic::async_trait]
impl Hub for Memory {
    async fn standing(&self, cluster: &ClusterName) -> Standing {
        if cluster.as_str() == "stranger" {
            return Standing::Unknown;
        }
        let records = self.records.lock().unwrap();
        let epoch = match records.get(cluster.as_str()) {
            Some((record, _)) => record.epoch,
            None => *self.epoch.lock().unwrap(),
        };
        Standing::Known {
            epoch,
            cluster_uid: Some(UID.to_owned()),
        }
    }

    async fn admit(&self, stream: &Stream, _: &Peer, _: &Hello) -> Result<Admission, Refused> {
        let seen = self.seen.lock().unwrap();
        let seat = Seat::new(self.room.clone(), stream.cluster.clone());
        let mut held = Incoming::seated(crate::table::Limits::default(), seat);
        if let Some(seen) = seen.get(stream.cluster.as_str()) {
            held = held.holding(seen.objects.clone());
        }
        Ok(Admission {
            held,
            desired: self.desired.subscribe(),
            end: self.end.subscribe(),
        })
    }

    async fn observed(&self, stream: &Stream, changes: Changes, full: bool) {
        let mut seen = self.seen.lock().unwrap();
        let seen = seen.entry(stream.cluster.to_string()).or_default();
        *(if full {
            &mut seen.fulls
        } else {
            &mut seen.deltas
        }) += 1;
        changes
            .deletes
            .iter()
            .for_each(|key| drop(seen.objects.remove(key)));
        seen.objects.extend(changes.upserts);
    }

    async fn holds(&self, _: &Stream) -> Result<(), Refused> {
        let refused = self.elsewhere.lock().unwrap().clone();
        refused.map_or(Ok(()), Err)
    }

    async fn acked(&self, _: &Stream, _: Ack) {}

    async fn results(&self, _: &Stream, _: Results) {}

    async fn closed(&self, stream: &Stream, why: String) {
        let mut seen = self.seen.lock().unwrap();
        seen.entry(stream.cluster.to_string())
            .or_default()
            .closed
            .push(why);
    }

    fn refused(&self, cluster: &ClusterName, why: Code) {
        let refusal = (cluster.to_string(), why);
        self.refusals.lock().unwrap().push(refusal);
    }
}

#[tonic::async_trait]
impl Tokens for Memory {
    async fn read(
        &self,
        cluster: &ClusterName,
    ) -> Result<Option<Stored>, Box<dyn Error + Send + Sync>> {
        let records = self.records.lock().unwrap();
        Ok(records
            .get(cluster.as_str())
            .map(|(record, version)| Stored {
                record: record.clone(),
                version: version.to_string(),
            }))
    }

    async fn store(
        &self,
        cluster: &ClusterName,
        stored: Stored,
    ) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let mut records = self.records.lock().unwrap();
        let Some((record, version)) = records.get_mut(cluster.as_str()) else {
            return Ok(false);
        };
        if version.to_string() != stored.version {
            return Ok(false);
        }
        *record = stored.record;
        *version += 1;
        Ok(true)
    }

    async fn refused(&self, _: &ClusterName, why: EnrolError) {
        self.alerts.lock().unwrap().push(why);
    }
}

/// A server under test.
pub(super) struct Kit {
    pub(super) memory: Arc<Memory>,
    pub(super) address: SocketAddr,
    pub(super) roots: String,
    pub(super) signer: Arc<Signer>,
    _files: tempfile::TempDir,
    pub(super) closing: CancellationToken,
    _guard: DropGuard,
}

impl Kit {
    pub(super) async fn start() -> Self {
        Self::with(Limits::default(), Duration::from_mins(10)).await
    }

    pub(super) async fn with(limits: Limits, life: Duration) -> Self {
        let servers = fixture::authority("servers");
        let clients = fixture::authority("clients");
        let (tls, files) = fixture::server_tls(&servers, &clients, AUTHORITY);
        let memory = Arc::new(Memory {
            seen: Mutex::default(),
            epoch: Mutex::default(),
            desired: watch::Sender::new(None),
            end: watch::Sender::new(None),
            records: Mutex::default(),
            elsewhere: Mutex::default(),
            room: Arc::new(Room::new(ROOM, |_, bytes| bytes.len())),
            alerts: Mutex::default(),
            refusals: Mutex::default(),
        });
        let signer = Arc::new(Signer::new(&clients.0, &clients.1, life).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closing = CancellationToken::new();
        let parts = Parts {
            tls,
            hub: memory.clone(),
            tokens: memory.clone(),
            signer: signer.clone(),
            telemetry: None,
            limits,
            version: "test".to_owned(),
            instance: "server".to_owned(),
        };
        tokio::spawn(serve(listener, parts, closing.clone()));
        Self {
            memory,
            address,
            roots: servers.0,
            signer,
            _files: files,
            _guard: closing.clone().drop_guard(),
            closing,
        }
    }

    pub(super) fn server(&self) -> Server {
        Server {
            address: self.address.to_string(),
            authority: AUTHORITY.to_owned(),
        }
    }

    /// A token for the cluster, as `gloonet cluster register` makes one.
    pub(super) fn token(&self, cluster: &str) -> String {
        let token = Token::new(rand::random());
        let name = cluster.parse().unwrap();
        let ttl = SignedDuration::from_mins(10);
        let mut records = self.memory.records.lock().unwrap();
        let before = records.get(cluster).map(|(record, _)| record);
        let record = TokenRecord::new(&name, &token, Timestamp::now(), ttl, before);
        records.insert(cluster.to_owned(), (record, 0));
        token.reveal()
    }

    /// As `gloonet cluster revoke` does it, and the server's hub when it sees that.
    pub(super) fn revoke(&self, cluster: &str) {
        let mut records = self.memory.records.lock().unwrap();
        let (record, version) = records.get_mut(cluster).unwrap();
        *record = record.revoked(Timestamp::now()).unwrap();
        *version += 1;
        let reason = format!("the certificates of cluster {cluster} were revoked");
        let code = crate::proto::refused::Code::Revoked.into();
        let end = Some(Refused { code, reason });
        self.memory.end.send_replace(end);
    }

    pub(super) fn credentials(&self, cluster: &str) -> Credentials {
        self.credentials_of(cluster, UID)
    }

    /// For a cluster of this name and UID.
    pub(super) fn credentials_of(&self, cluster: &str, uid: &str) -> Credentials {
        let request = KeyRequest::new().unwrap();
        let cluster = cluster.parse().unwrap();
        let csr = Signed::read(&request.csr).unwrap();
        let now = std::time::SystemTime::now();
        let signed = self
            .signer
            .client(&cluster, uid, 0, &csr, now, rand::random());
        Credentials {
            roots: self.roots.clone(),
            identity: Identity {
                chain: signed.unwrap().chain,
                key: request.key,
            },
        }
    }

    pub(super) fn agent(&self, cluster: &str, instance: &str, started_ms: i64) -> Agent {
        Agent::start(self, self.credentials(cluster), instance, started_ms)
    }

    pub(super) fn seen<T>(&self, cluster: &str, look: impl FnOnce(&Seen) -> T) -> T {
        let mut seen = self.memory.seen.lock().unwrap();
        look(seen.entry(cluster.to_owned()).or_default())
    }
}

#[derive(Debug, Default)]
pub(super) struct Desired {
    pub(super) objects: Mutex<Option<Objects>>,
    pub(super) settled: Mutex<u64>,
}

#[tonic::async_trait]
impl Local for Desired {
    async fn desired(&self, objects: Objects) {
        *self.objects.lock().unwrap() = Some(objects);
    }

    fn opened(&self) {}

    async fn settled(&self, turn: u64) {
        *self.settled.lock().unwrap() = turn;
    }
}

/// An agent under test.
pub(super) struct Agent {
    pub(super) observed: watch::Sender<Option<Source>>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) local: Arc<Desired>,
    pub(super) credentials: watch::Sender<Option<Credentials>>,
    pub(super) results: watch::Sender<Results>,
    pub(super) revoked: watch::Receiver<Option<Credentials>>,
    _guard: DropGuard,
}

impl Agent {
    pub(super) fn start(
        kit: &Kit,
        credentials: Credentials,
        instance: &str,
        started_ms: i64,
    ) -> Self {
        let observed = watch::Sender::new(Some(objects(3)));
        let status = watch::Sender::new(Status::new());
        let results = watch::Sender::new(Results::default());
        let revoked = watch::Sender::new(None);
        let credentials = watch::Sender::new(Some(credentials));
        let local = Arc::new(Desired::default());
        let closing = CancellationToken::new();
        let agent = Self {
            status: status.subscribe(),
            local: local.clone(),
            _guard: closing.clone().drop_guard(),
            credentials: credentials.clone(),
            observed: observed.clone(),
            results: results.clone(),
            revoked: revoked.subscribe(),
        };
        let parts = client::Parts {
            server: kit.server(),
            facts: AgentFacts {
                version: "test".to_owned(),
                cluster_uid: UID.to_owned(),
                instance: instance.to_owned(),
                started_ms,
                capabilities: Vec::new(),
            },
            credentials: credentials.subscribe(),
            observed: observed.subscribe(),
            results: results.subscribe(),
            status,
            revoked,
            local,
        };
        tokio::spawn(client::run(parts, closing));
        agent
    }

    pub(super) async fn wait(&mut self, what: &str, until: impl FnMut(&Status) -> bool) -> Status {
        let reached = self.status.wait_for(until);
        let status = tokio::time::timeout(Duration::from_secs(20), reached).await;
        status.unwrap_or_else(|_| panic!("{what}")).unwrap().clone()
    }

    pub(super) async fn warmed(&mut self) {
        self.wait("warmed", |status| {
            status.warmed && status.state == State::Connected
        })
        .await;
    }
}

pub(super) fn key(name: usize) -> ObjectKey {
    ObjectKey::new("v1", "Service", "shop", &format!("s{name}")).unwrap()
}

pub(super) fn objects(count: usize) -> Source {
    let mut source = Source::default();
    for name in 0..count {
        source.set(key(name), Bytes::from(format!("{{\"n\":{name}}}")));
    }
    source
}

/// Polls: what a test waits for is seldom worth a channel.
pub(super) async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    for _ in 0..400 {
        if check() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}");
}

//! A cluster is revoked or deleted while its agent is connected: the server's own hub, records and watch of clusters, its relay
//! over real TLS, an agent's real client; only the API server is a stand-in.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

mod api;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use api::Api;
use gloo_api::{
    ClusterName,
    enrolment::{Token, TokenRecord},
};
use gloo_mesh_mgmt_server::{
    clusters, hub::Server, replicas::Replicas, shared::Shared, state::State, tokens::Records,
};
use gloo_relay::{
    client::{self, Credentials, KeyRequest, Local, State as Link, Status, enrol, renew},
    enrolment::Signer,
    fixture,
    proto::Results,
    server::{Limits, Parts, serve},
    session::AgentFacts,
    table::{Objects, Source},
    tls::Identity,
};
use jiff::{SignedDuration, Timestamp};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

const UID: &str = "0000-1111";
const AUTHORITY: &str = "gloo-mesh-mgmt-server.gloo-mesh";

/// A management server that knows cluster west.
struct Fleet {
    api: Api,
    address: SocketAddr,
    roots: String,
    west: ClusterName,
    _files: tempfile::TempDir,
    _guard: DropGuard,
}

/// An agent that has nothing to say.
struct Quiet;

#[tonic::async_trait]
impl Local for Quiet {
    async fn desired(&self, _: Objects) {}
    fn opened(&self) {}
    async fn settled(&self, _: u64) {}
}

impl Fleet {
    /// With these clusters beside west.
    async fn start(others: &[&str]) -> Self {
        let west: ClusterName = "west".parse().unwrap();
        let others = others.iter().map(|name| name.parse().unwrap());
        let clusters: Vec<_> = std::iter::once(west.clone()).chain(others).collect();
        let api = Api::new(&clusters);
        let closing = CancellationToken::new();
        let state = State::new("mgmt".parse().unwrap(), true);
        let shared = Arc::new(Shared::new(state, "server".to_owned()));
        let records = Arc::new(Records::new(
            api.client(),
            shared.metrics.refused_enrolments.clone(),
        ));
        let replicas = Replicas::new(api.client(), "server".to_owned(), None);
        tokio::spawn(clusters::run(
            api.client(),
            shared.clone(),
            records.clone(),
            replicas,
            closing.clone(),
        ));
        let authority = fixture::authority("relay");
        let (tls, files) = fixture::server_tls(&authority, &authority, AUTHORITY);
        let life = Duration::from_mins(10);
        let signer = Arc::new(Signer::new(&authority.0, &authority.1, life).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let parts = Parts {
            tls,
            hub: Arc::new(Server {
                shared,
                records: records.clone(),
                fence: None,
            }),
            tokens: records,
            signer,
            telemetry: None,
            limits: Limits::default(),
            version: "test".to_owned(),
            instance: "server".to_owned(),
        };
        tokio::spawn(serve(listener, parts, closing.clone()));
        Self {
            api,
            address,
            roots: authority.0,
            west,
            _files: files,
            _guard: closing.drop_guard(),
        }
    }

    fn server(&self) -> client::Server {
        client::Server {
            address: self.address.to_string(),
            authority: AUTHORITY.to_owned(),
        }
    }

    /// As `gloonet cluster register west` does it.
    fn register(&self) -> String {
        let token = Token::new(rand::random());
        let (now, ttl) = (Timestamp::now(), SignedDuration::from_mins(10));
        self.api
            .change(|before| TokenRecord::new(&self.west, &token, now, ttl, before.as_ref()));
        token.reveal()
    }

    /// As `gloonet cluster revoke west` does it.
    fn revoke(&self) {
        self.api
            .change(|before| before.unwrap().revoked(Timestamp::now()).unwrap());
    }

    async fn enrol(&self, token: &str, request: &KeyRequest) -> Option<Credentials> {
        let (server, west) = (self.server(), &self.west);
        let given = enrol(&server, &self.roots, west, UID, token, request).await;
        Some(Credentials {
            roots: self.roots.clone(),
            identity: Identity {
                chain: given.ok()?.chain,
                key: request.key.clone(),
            },
        })
    }

    /// West, registered and enrolled, with an agent that is let in.
    async fn connected(&self) -> Connected {
        let (token, request) = (self.register(), KeyRequest::new().unwrap());
        let held = self.enrol(&token, &request).await.unwrap();
        let credentials = watch::Sender::new(Some(held.clone()));
        let mut status = self.agent(credentials.subscribe());
        reaches(&mut status, Link::Connected, Duration::from_secs(20)).await;
        Connected {
            token,
            request,
            held,
            credentials,
            status,
        }
    }

    fn agent(&self, credentials: watch::Receiver<Option<Credentials>>) -> watch::Receiver<Status> {
        let status = watch::Sender::new(Status::new());
        let reported = status.subscribe();
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let parts = client::Parts {
            server: self.server(),
            facts: AgentFacts {
                version: "test".to_owned(),
                cluster_uid: UID.to_owned(),
                instance: format!("agent/{:08x}", rand::random::<u32>()),
                started_ms: i64::try_from(started.unwrap().as_millis()).unwrap(),
                capabilities: Vec::new(),
            },
            credentials,
            observed: watch::Sender::new(Some(Source::default())).subscribe(),
            results: watch::Sender::new(Results::default()).subscribe(),
            status,
            revoked: watch::Sender::new(None),
            local: Arc::new(Quiet),
        };
        tokio::spawn(client::run(parts, CancellationToken::new()));
        reported
    }
}

/// A cluster and its agent.
struct Connected {
    token: String,
    request: KeyRequest,
    held: Credentials,
    /// What the agent shows.
    credentials: watch::Sender<Option<Credentials>>,
    status: watch::Receiver<Status>,
}

async fn reaches(status: &mut watch::Receiver<Status>, state: Link, within: Duration) -> Status {
    let reached = status.wait_for(|status| status.state == state);
    let reached = tokio::time::timeout(within, reached).await;
    let reached = reached.map(|status| status.unwrap().clone());
    reached.unwrap_or_else(|_| panic!("not {state:?} within {within:?}"))
}

#[tokio::test]
async fn a_revoked_clusters_stream_ends_within_seconds_and_only_a_new_registration_brings_it_back()
{
    let fleet = Fleet::start(&[]).await;
    let mut west = fleet.connected().await;

    fleet.revoke();
    let refused = reaches(&mut west.status, Link::Refused, Duration::from_secs(10)).await;
    let said = refused.last_error.unwrap();
    assert!(said.contains("(Revoked)"), "{said}");
    assert!(said.contains("gloonet cluster register west"), "{said}");
    let renewed = renew(&fleet.server(), &west.held, &west.request)
        .await
        .unwrap_err();
    assert!(renewed.to_string().contains("revoked"), "{renewed}");
    assert_eq!(
        fleet.enrol(&west.token, &west.request).await,
        None,
        "the token went too"
    );
    let mut thief = fleet.agent(watch::Sender::new(Some(west.held.clone())).subscribe());
    reaches(&mut thief, Link::Refused, Duration::from_secs(10)).await;

    let (token, request) = (fleet.register(), KeyRequest::new().unwrap());
    let new = fleet.enrol(&token, &request).await.unwrap();
    west.credentials.send_replace(Some(new));
    reaches(&mut west.status, Link::Connected, Duration::from_secs(20)).await;
    assert!(renew(&fleet.server(), &west.held, &request).await.is_err());
    // Longer than it takes the server to look at the records again.
    let ended = west
        .status
        .wait_for(|status| status.state != Link::Connected);
    let ended = tokio::time::timeout(Duration::from_secs(7), ended).await;
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test]
async fn a_clusters_stream_ends_within_seconds_once_its_kubernetes_cluster_is_deleted_be_it_the_last()
 {
    for others in [["mgmt"].as_slice(), &[]] {
        let fleet = Fleet::start(others).await;
        let mut west = fleet.connected().await;
        fleet.api.delete(&fleet.west);
        let refused = reaches(&mut west.status, Link::Refused, Duration::from_secs(10)).await;
        let said = refused.last_error.unwrap();
        assert!(said.contains("(UnknownCluster)"), "{others:?}: {said}");
        assert!(said.contains("register"), "{others:?}: {said}");
        assert!(
            renew(&fleet.server(), &west.held, &west.request)
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_certificate_opens_nothing_once_its_name_is_another_clusters() {
    let fleet = Fleet::start(&[]).await;
    let mut west = fleet.connected().await;
    fleet.api.change(|before| TokenRecord {
        cluster_uid: Some("2222-3333".to_owned()),
        ..before.unwrap()
    });
    let renewed = renew(&fleet.server(), &west.held, &west.request)
        .await
        .unwrap_err();
    let words = format!("cluster west was enrolled with UID 2222-3333, not {UID}");
    assert!(renewed.to_string().contains(&words), "{renewed}");
    // The stream that is open.
    reaches(&mut west.status, Link::Refused, Duration::from_secs(10)).await;
    let mut late = fleet.agent(watch::Sender::new(Some(west.held)).subscribe());
    let refused = reaches(&mut late, Link::Refused, Duration::from_secs(10)).await;
    let said = refused.last_error.unwrap();
    assert!(said.contains("(ClusterUid)"), "{said}");
}

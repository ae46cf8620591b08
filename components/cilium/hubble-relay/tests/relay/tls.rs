//! Who may ask whom.

use std::{net::SocketAddr, path::Path};

use cilium_hubble::{
    fixture::authority::Authority,
    proto::observer::{ServerStatusRequest, observer_client::ObserverClient},
    tls::{
        client::{ClientFiles, ClientTls},
        server::{Clients, ServerFiles},
    },
    transport,
};
use hubble_relay::{dial::Security, pool::State, run};
use tokio::net::TcpListener;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic_health::server::HealthReporter;

use crate::kit::{Nodes, Served, eventually, relay, relay_at};

const AGENT: &str = "*.default.hubble-grpc.cilium.io";
const CLIENT: &str = "client.hubble-relay.cilium.io";

/// Writes a certificate, its key and the authority.
fn issue(authority: &Authority, folder: &Path, name: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let (certificate, key) = authority.issue(name);
    for (file, text) in [
        ("tls.crt", &certificate),
        ("tls.key", &key),
        ("ca.crt", &authority.pem),
    ] {
        std::fs::write(folder.join(file), text).unwrap();
    }
}

fn server_files(folder: &Path, client: &str) -> ServerFiles {
    ServerFiles {
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
        clients: Clients::Of {
            authorities: folder.join("ca.crt"),
            names: vec![client.to_owned()],
        },
    }
}

fn client(folder: &Path) -> Security {
    let files = ClientFiles {
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
        authorities: folder.join("ca.crt"),
    };
    Security::Mutual(ClientTls::new(files).unwrap())
}

async fn nodes(authority: &Authority, folder: &Path) -> Nodes {
    issue(authority, &folder.join("agent"), AGENT);
    let files = server_files(&folder.join("agent"), CLIENT);
    Nodes::with(2, 255, Some(files)).await
}

/// Why the relay is told of no nodes.
async fn refused(served: &Served) -> String {
    let told = served.relay.told.clone();
    eventually("the attempt failed", || told.borrow().error.is_some()).await;
    assert!(!told.borrow().ever);
    told.borrow().error.as_deref().unwrap().to_owned()
}

#[tokio::test]
async fn nodes_are_asked_over_mutual_tls_under_the_names_their_certificate_has() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let nodes = nodes(&authority, folder.path()).await;
    issue(&authority, &folder.path().join("relay"), CLIENT);
    let security = client(&folder.path().join("relay"));
    let served = relay_at(&nodes.peer_service(), security, &[]).await;
    served.connected(2).await;
    let known = served.relay.nodes.borrow().clone();
    assert_eq!(
        known["worker-2"].peer.server_name.as_deref(),
        Some("worker-2.default.hubble-grpc.cilium.io")
    );
}

#[tokio::test]
async fn a_relay_with_the_wrong_certificate_is_refused_and_says_so() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let nodes = nodes(&ours, folder.path()).await;
    // Of another authority, though it trusts ours; and of ours, with a name that may not ask.
    let (stranger, collector) = (
        folder.path().join("stranger"),
        folder.path().join("collector"),
    );
    issue(&theirs, &stranger, CLIENT);
    std::fs::write(stranger.join("ca.crt"), &ours.pem).unwrap();
    issue(&ours, &collector, "collector.example");
    for folder in [stranger, collector] {
        let served = relay_at(&nodes.peer_service(), client(&folder), &[]).await;
        let why = refused(&served).await;
        assert!(why.contains("127.0.0.1"), "{why}");
        assert!(
            why.contains("Hubble server") || why.contains("TLS") || why.contains("HTTP/2"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_node_that_cannot_prove_itself_is_not_asked() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let nodes = nodes(&theirs, folder.path()).await;
    issue(&ours, &folder.path().join("relay"), CLIENT);
    let security = client(&folder.path().join("relay"));
    let served = relay_at(&nodes.peer_service(), security, &[]).await;
    let why = refused(&served).await;
    assert!(
        why.contains("hubble-peer.default.hubble-grpc.cilium.io"),
        "{why}"
    );
}

#[tokio::test]
async fn a_renewed_certificate_is_used_for_the_next_connection() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let nodes = nodes(&authority, folder.path()).await;
    let own = folder.path().join("relay");
    issue(&authority, &own, "not.yet");
    let served = relay_at(&nodes.peer_service(), client(&own), &[]).await;
    refused(&served).await;
    issue(&authority, &own, CLIENT);
    served.connected(2).await;
}

#[tokio::test]
async fn with_tls_a_node_without_it_is_not_asked() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let secure = nodes(&authority, folder.path()).await;
    issue(&authority, &folder.path().join("relay"), CLIENT);
    let served = relay_at(
        &secure.peer_service(),
        client(&folder.path().join("relay")),
        &[],
    )
    .await;
    served.connected(2).await;
    let pool = hubble_relay::pool::Pool::new(std::sync::Arc::new(hubble_relay::dial::Dialer::new(
        client(&folder.path().join("relay")),
    )));
    let peer = hubble_relay::peers::Peer {
        name: "plain".to_owned(),
        address: secure.peer_service(),
        server_name: None,
    };
    pool.apply(hubble_relay::peers::Change::Here(peer));
    let known = pool.nodes();
    eventually("it is given up", || {
        matches!(&known.borrow()["plain"].state, State::Unavailable(why) if why.contains("without TLS"))
    })
    .await;
}

#[tokio::test]
async fn clients_of_the_relay_prove_who_they_are() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let (server, ui, stranger) = (
        folder.path().join("server"),
        folder.path().join("ui"),
        folder.path().join("stranger"),
    );
    issue(&ours, &server, "hubble-relay.kube-system.svc");
    issue(&ours, &ui, "ui.hubble-relay.cilium.io");
    issue(&theirs, &stranger, "ui.hubble-relay.cilium.io");
    let nodes = Nodes::new(1).await;
    let relay = relay(&nodes, &[]).await;
    let files = server_files(&server, "ui.hubble-relay.cilium.io");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = run::routes(relay.relay.clone(), HealthReporter::new());
    let stop = relay.stop.clone();
    tokio::spawn(async move {
        transport::serve_listener(routes, listener, Some(files), &stop)
            .await
            .unwrap();
    });
    assert_eq!(status(address, &ours, Some(&ui)).await, Ok(Some(1)));
    assert!(status(address, &ours, Some(&stranger)).await.is_err());
    assert!(status(address, &ours, None).await.is_err());
}

async fn status(
    address: SocketAddr,
    trusted: &Authority,
    own: Option<&Path>,
) -> Result<Option<u32>, String> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&trusted.pem))
        .domain_name("hubble-relay.kube-system.svc");
    if let Some(folder) = own {
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        tls = tls.identity(Identity::from_pem(read("tls.crt"), read("tls.key")));
    }
    let endpoint = Endpoint::from_shared(format!("https://{address}"))
        .unwrap()
        .tls_config(tls)
        .unwrap();
    let channel = endpoint
        .connect()
        .await
        .map_err(|error| error.to_string())?;
    let answer = ObserverClient::new(channel)
        .server_status(ServerStatusRequest {})
        .await;
    let answer = answer.map_err(|status| status.to_string())?;
    Ok(answer.into_inner().num_connected_nodes)
}

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::*;
use crate::{
    fixture::authority::Authority,
    tls::{
        TlsError,
        server::{Clients, Watched},
    },
};

const SERVER: &str = "worker-1.east.hubble-grpc.cilium.io";
const RELAY: &str = "relay.hubble-relay.cilium.io";

fn files(directory: &Path, authority: &Authority) -> ServerFiles {
    let files = ServerFiles {
        certificate: directory.join("tls.crt"),
        key: directory.join("tls.key"),
        clients: Clients::Of {
            authorities: directory.join("ca.crt"),
            names: vec![RELAY.to_owned()],
        },
    };
    write(&files, authority);
    files
}

fn write(files: &ServerFiles, authority: &Authority) {
    let (certificate, key) = authority.issue(SERVER);
    std::fs::write(&files.certificate, certificate).unwrap();
    std::fs::write(&files.key, key).unwrap();
    let Clients::Of { authorities, .. } = &files.clients else {
        panic!("these files ask for no client's certificate");
    };
    std::fs::write(authorities, &authority.pem).unwrap();
}

async fn flows(
    address: SocketAddr,
    trusted: &Authority,
    client: Option<(String, String)>,
) -> Result<usize, String> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&trusted.pem))
        .domain_name(SERVER);
    if let Some((certificate, key)) = client {
        tls = tls.identity(Identity::from_pem(certificate, key));
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
        .get_flows(GetFlowsRequest::default())
        .await;
    Ok(answer
        .map_err(|status| status.to_string())?
        .into_inner()
        .count()
        .await)
}

#[tokio::test]
async fn only_a_client_of_the_authority_with_an_allowed_name_is_served() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path(), &ours);
    let (observer, mut writer) = observer::new(config(15), Arc::new(Cluster));
    record(&mut writer);
    let (_nodes, peers) = watch::channel(Vec::new());
    let server = Server::new(observer, peers, 4244);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn({
        let server = server.clone();
        async move { server.serve_listener(listener, Some(files)).await }
    });
    assert_eq!(flows(address, &ours, Some(ours.issue(RELAY))).await, Ok(2));
    assert!(
        flows(address, &ours, Some(ours.issue("collector.example")))
            .await
            .is_err()
    );
    assert!(
        flows(address, &ours, Some(theirs.issue(RELAY)))
            .await
            .is_err()
    );
    assert!(flows(address, &ours, None).await.is_err());
    server.close();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn changed_files_are_used_and_broken_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path(), &Authority::new());
    let mut watched = Watched::new(files.clone()).unwrap();
    let current = watched.current();
    let first = current.config();
    watched.look();
    assert!(Arc::ptr_eq(&first, &current.config()), "nothing changed");
    std::fs::write(&files.key, "no key").unwrap();
    watched.look();
    assert!(
        Arc::ptr_eq(&first, &current.config()),
        "the new key is broken"
    );
    write(&files, &Authority::new());
    watched.look();
    assert!(
        !Arc::ptr_eq(&first, &current.config()),
        "the new files are good"
    );
}

#[tokio::test]
async fn files_that_do_not_belong_together_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let files = files(directory.path(), &authority);
    std::fs::write(&files.key, authority.issue(SERVER).1).unwrap();
    let error = Watched::new(files.clone()).err().unwrap();
    assert!(matches!(error, TlsError::Pair { .. }), "{error}");
    assert!(error.to_string().contains("tls.key"));
    std::fs::remove_file(&files.certificate).unwrap();
    assert!(matches!(
        Watched::new(files).err().unwrap(),
        TlsError::Read { .. }
    ));
}

//! What the kubelet hears, of an agent whose API server is away since it started.

use std::path::PathBuf;

use cilium_agent::facts::Place;
use cilium_agent::health;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::node::{Node, node};

/// Status of the answer to a probe with this line among its headers.
async fn asked(node: &Node, header: &str) -> String {
    let place = Place {
        config_digest: String::new(),
        conf_dir: PathBuf::new(),
        cgroup_root: PathBuf::new(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = health::router(node.progress.clone(), place);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut stream = TcpStream::connect(at).await.unwrap();
    let question =
        format!("GET /healthz HTTP/1.1\r\nHost: agent\r\n{header}Connection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

const LIVENESS: &str = "brief: true\r\n";
const READINESS: &str = "";

#[tokio::test]
async fn an_agent_that_starts_without_an_api_server_is_not_ready_and_is_left_alive() {
    let node = node("10.244.1.0/24").await;
    assert_eq!(asked(&node, READINESS).await, "503");
    assert_eq!(asked(&node, LIVENESS).await, "200");
    node.progress.serving(node.agent.clone());
    assert_eq!(asked(&node, READINESS).await, "503");
    assert_eq!(asked(&node, LIVENESS).await, "200");
}

#[tokio::test]
async fn an_agent_without_its_datapath_is_to_be_started_again() {
    let node = node("10.244.1.0/24").await;
    node.progress.serving(node.agent.clone());
    node.datapath.lose();
    assert_eq!(asked(&node, LIVENESS).await, "503");
}

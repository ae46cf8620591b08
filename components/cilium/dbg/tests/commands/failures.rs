//! What people read when a command cannot do what they asked.

use std::os::unix::fs::PermissionsExt as _;

use cilium_cni::error::chain;
use cilium_dbg::{Arguments, run};
use clap::Parser as _;

use crate::server::Server;

async fn error_at(host: &str) -> String {
    let arguments =
        Arguments::try_parse_from(["cilium-dbg", "-H", host, "endpoint", "list"]).unwrap();
    chain(&run(&arguments, &mut Vec::new()).await.unwrap_err())
}

#[tokio::test]
async fn an_agent_that_does_not_run_is_said_with_where_to_look() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("cilium.sock");
    let gone = error_at(socket.to_str().unwrap()).await;
    assert!(gone.starts_with("no Cilium agent listens on /"), "{gone}");
    assert!(gone.contains("kube-system"), "{gone}");
    // A socket file whose agent has died.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert_eq!(
        error_at(&format!("unix://{}", socket.display())).await,
        gone
    );
}

#[tokio::test]
async fn who_may_not_open_the_socket_is_told_who_may() {
    let server = Server::new(&[]);
    let socket = server.socket();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o000)).unwrap();
    let error = error_at(socket.to_str().unwrap()).await;
    // Root is never refused.
    let refused = error.starts_with("no permission to open") && error.contains("as root");
    let is_root = error.contains("nothing at GET /v1/endpoint");
    assert!(refused || is_root, "{error}");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_named_in_the_agents_words() {
    let server = Server::new(&[]);
    let (_, ended) = server.run("endpoint get 4711").await;
    assert_eq!(
        chain(&ended.unwrap_err()),
        "the agent did not answer the question for endpoint 4711: nothing at GET /v1/endpoint/4711"
    );
}

#[tokio::test]
async fn waiting_for_policies_ends_with_the_datapath_or_says_how_far_it_is() {
    let server = Server::new(&[("GET /v1/policy", r#"{"policy":"[]","revision":7}"#)]);
    assert_eq!(server.prints("policy wait 7").await, "");
    let (_, ended) = server.run("policy wait 8 --max-wait-time 0").await;
    let error = chain(&ended.unwrap_err());
    assert!(error.contains("has policy revision 7 and not 8"), "{error}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named_in_the_agents_words() {
    let server = Server::new(&[]);
    let (_, ended) = server.run("service get 4711").await;
    assert_eq!(
        chain(&ended.unwrap_err()),
        "the agent did not answer the question for service 4711: nothing at GET /v1/service/4711"
    );
}

#[tokio::test]
async fn an_answer_of_another_release_is_not_taken_for_an_empty_one() {
    let server = Server::new(&[("GET /v1/ip", r#"[{"prefix": "10.0.0.0/8"}]"#)]);
    let error = chain(&server.run("ip list").await.1.unwrap_err());
    assert!(error.contains("of one release"), "{error}");
    assert!(error.contains("its addresses"), "{error}");
}

#[tokio::test]
async fn a_list_that_breaks_off_is_a_failure_after_what_had_come() {
    let whole = r#"{"Key":{"SourceAddr":"10.0.0.1","SourcePort":1,"DestAddr":"10.0.0.2","DestPort":2,"NextHeader":6,"Direction":"IN"},"Value":{"Lifetime":1,"TxPackets":1,"TxBytes":1,"RxPackets":0,"RxBytes":0,"TxFlagsSeen":2,"RxFlagsSeen":0,"SeenReply":false,"Closing":false,"SourceSecurityID":1,"DestSecurityID":2}}"#;
    let server = Server::new(&[("GET /v1/gloonet/bpf/ct", &format!("{whole}\n{{\"Key\""))]);
    let (out, ended) = server.run("bpf ct list global").await;
    assert!(out.starts_with("TCP IN 10.0.0.1:1 -> 10.0.0.2:2 "), "{out}");
    assert!(chain(&ended.unwrap_err()).contains("ended within a line"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    assert!(cilium_dbg::Error::Output(closed).is_closed_pipe());
}

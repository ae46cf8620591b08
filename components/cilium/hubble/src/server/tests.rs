use std::{
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::PathBuf,
    time::Duration,
};

use futures::StreamExt;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

use super::*;
use crate::{
    event::{Kind, Lost, LostAt, PacketEvent},
    fixture::{Cluster, DNS, WEB, at, config, event, udp},
    observer::{self, Writer},
    proto::{
        flow::{
            AgentEvent, AgentEventType, EventTypeFilter, FlowFilter, NetworkInterface, TcpFlags,
            Verdict, Workload,
        },
        observer::{
            GetAgentEventsRequest, GetDebugEventsRequest, GetFlowsRequest, GetFlowsResponse,
            GetNamespacesRequest, GetNodesRequest, ServerStatusRequest,
            get_flows_response::ResponseTypes, observer_client::ObserverClient,
        },
        peer::{ChangeNotificationType, NotifyRequest, peer_client::PeerClient},
    },
    transport::bind_unix,
};

/// A server on a unix socket, with the two flows of `record`, and a connection to it.
struct Served {
    server: Server,
    writer: Writer,
    nodes: watch::Sender<Vec<Node>>,
    serving: tokio::task::JoinHandle<Result<(), ServeError>>,
    channel: Channel,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Served {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hubble.sock");
        let (observer, mut writer) = observer::new(config(15), Arc::new(Cluster));
        record(&mut writer);
        let (nodes, peers) = watch::channel(vec![node("worker-1", 1)]);
        let server = Server::new(observer, peers, 4244);
        let serving = {
            let (server, path) = (server.clone(), path.clone());
            tokio::spawn(async move { server.serve_unix(&path).await })
        };
        let channel = connect(&path).await;
        Self {
            server,
            writer,
            nodes,
            serving,
            channel,
            path,
            _directory: directory,
        }
    }

    fn observer(&self) -> ObserverClient<Channel> {
        ObserverClient::new(self.channel.clone())
    }

    async fn flows(
        &self,
        request: GetFlowsRequest,
    ) -> Result<Vec<GetFlowsResponse>, tonic::Status> {
        let stream = self.observer().get_flows(request).await?.into_inner();
        stream.collect::<Vec<_>>().await.into_iter().collect()
    }

    /// The verdicts of the flows one filter lets pass, or why it was refused.
    async fn passing(
        &self,
        change: impl FnOnce(&mut FlowFilter),
    ) -> Result<Vec<Verdict>, tonic::Status> {
        let mut filter = FlowFilter::default();
        change(&mut filter);
        let request = GetFlowsRequest {
            whitelist: vec![filter],
            ..GetFlowsRequest::default()
        };
        Ok(self
            .flows(request)
            .await?
            .iter()
            .map(|answer| flow(answer).verdict())
            .collect())
    }
}

/// A SYN that was let through to a pod, and a question to the name server that was dropped.
fn record(writer: &mut Writer) {
    let seconds = now() / 1_000_000_000;
    writer.packet(at(seconds));
    let dropped = event(
        Kind::Drop { reason: 133 },
        &udp(WEB, DNS, 5000, 53),
        seconds,
    );
    writer.packet(PacketEvent {
        ifindex: 0,
        ..dropped
    });
}

async fn connect(path: &Path) -> Channel {
    let path = path.to_owned();
    let connector = tower::service_fn(move |_: http::Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    for _ in 0..200 {
        if let Ok(channel) = Endpoint::from_static("http://hubble")
            .connect_with_connector(connector.clone())
            .await
        {
            return channel;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody answers on the socket");
}

fn node(name: &str, last: u8) -> Node {
    Node {
        cluster: "default".to_owned(),
        name: name.to_owned(),
        address: Some([192, 0, 2, last].into()),
    }
}

fn flow(answer: &GetFlowsResponse) -> &crate::proto::flow::Flow {
    match &answer.response_types {
        Some(ResponseTypes::Flow(flow)) => flow,
        other => panic!("no flow: {other:?}"),
    }
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

#[tokio::test]
async fn flows_come_with_their_node_and_time() {
    let served = Served::new().await;
    let answers = served
        .flows(GetFlowsRequest {
            number: 1,
            ..GetFlowsRequest::default()
        })
        .await
        .unwrap();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].node_name, "east/worker-1");
    assert_eq!(answers[0].time, flow(&answers[0]).time);
    assert_eq!(flow(&answers[0]).verdict(), Verdict::Dropped);
}

#[tokio::test]
async fn a_follower_sees_what_comes_and_ends_when_the_server_closes() {
    let mut served = Served::new().await;
    let request = GetFlowsRequest {
        follow: true,
        ..GetFlowsRequest::default()
    };
    let mut stream = served
        .observer()
        .get_flows(request)
        .await
        .unwrap()
        .into_inner();
    served.writer.packet(at(77));
    served.writer.lost(Lost {
        time: 0,
        count: 3,
        cpu: None,
        place: LostAt::Queue,
    });
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.time.unwrap().seconds, 77);
    let second = stream.message().await.unwrap().unwrap();
    let Some(ResponseTypes::LostEvents(lost)) = second.response_types else {
        panic!("no loss")
    };
    assert_eq!(lost.num_events_lost, 3);
    served.server.close();
    assert_eq!(
        stream.message().await.unwrap_err().code(),
        Code::Unavailable
    );
    served.serving.await.unwrap().unwrap();
    assert!(!served.path.exists());
}

#[tokio::test]
async fn the_deny_list_and_the_field_mask_are_heeded() {
    let served = Served::new().await;
    let tcp = FlowFilter {
        protocol: strings(&["tcp"]),
        ..FlowFilter::default()
    };
    let request = GetFlowsRequest {
        blacklist: vec![tcp],
        field_mask: Some(prost_types::FieldMask {
            paths: strings(&["verdict", "IP.source"]),
        }),
        ..GetFlowsRequest::default()
    };
    let answers = served.flows(request).await.unwrap();
    let ip = Some(crate::proto::flow::Ip {
        source: "10.0.1.2".to_owned(),
        ..Default::default()
    });
    let expected = crate::proto::flow::Flow {
        verdict: 2,
        ip,
        ..Default::default()
    };
    assert_eq!(answers.iter().map(flow).collect::<Vec<_>>(), [&expected]);
}

#[tokio::test]
async fn the_status_counts_flows() {
    let served = Served::new().await;
    let status = served
        .observer()
        .server_status(ServerStatusRequest {})
        .await
        .unwrap();
    let version = status.metadata().get("hubble-server-version");
    assert_eq!(version.unwrap(), "1.20.2");
    let status = status.into_inner();
    assert_eq!(
        (status.num_flows, status.max_flows, status.seen_flows),
        (2, 15, 2)
    );
    assert_eq!(
        (status.num_connected_nodes, status.version.as_str()),
        (Some(1), "cilium v1.20.2")
    );
    assert!(status.uptime_ns > 0);
    assert!((status.flows_rate - 2.0 / 60.0).abs() < 1e-6);
}

#[tokio::test]
async fn nodes_and_namespaces_are_those_of_this_node() {
    let served = Served::new().await;
    let nodes = served
        .observer()
        .get_nodes(GetNodesRequest {})
        .await
        .unwrap()
        .into_inner()
        .nodes;
    assert_eq!(
        nodes
            .iter()
            .map(|node| node.name.as_str())
            .collect::<Vec<_>>(),
        ["east/worker-1"]
    );
    let namespaces = served
        .observer()
        .get_namespaces(GetNamespacesRequest {})
        .await
        .unwrap()
        .into_inner()
        .namespaces;
    let names: Vec<_> = namespaces
        .iter()
        .map(|seen| (seen.cluster.as_str(), seen.namespace.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("east", "default"),
            ("east", "kube-system"),
            ("east", "shop")
        ]
    );
}

#[tokio::test]
async fn agent_events_are_told_apart_from_flows_and_there_are_no_debug_events() {
    let mut served = Served::new().await;
    let started = AgentEvent {
        r#type: AgentEventType::AgentStarted.into(),
        notification: None,
    };
    served.writer.agent(5_000_000_000, started.clone());
    let mut events = served
        .observer()
        .get_agent_events(GetAgentEventsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let event = events.message().await.unwrap().unwrap();
    assert_eq!(
        (event.agent_event, event.time.unwrap().seconds),
        (Some(started), 5)
    );
    assert_eq!(events.message().await.unwrap(), None);
    let mut debug = served
        .observer()
        .get_debug_events(GetDebugEventsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(debug.message().await.unwrap(), None);
    assert_eq!(
        served
            .flows(GetFlowsRequest::default())
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn peers_are_told_at_once_and_when_they_change() {
    let served = Served::new().await;
    let mut stream = PeerClient::new(served.channel.clone())
        .notify(NotifyRequest {})
        .await
        .unwrap()
        .into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(
        (first.r#type(), first.name.as_str()),
        (ChangeNotificationType::PeerAdded, "worker-1")
    );
    assert_eq!(
        (first.address.as_str(), first.tls),
        ("192.0.2.1:4244", None)
    );
    served.nodes.send(vec![node("worker-1", 9)]).unwrap();
    let second = stream.message().await.unwrap().unwrap();
    assert_eq!(
        (second.r#type(), second.address.as_str()),
        (ChangeNotificationType::PeerUpdated, "192.0.2.9:4244")
    );
}

#[tokio::test]
async fn only_the_owner_may_use_the_socket() {
    let served = Served::new().await;
    let found = std::fs::metadata(&served.path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_stale_socket_is_taken_over_and_a_used_one_and_a_file_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hubble.sock");
    drop(UnixListener::bind(&path).unwrap());
    let listener = bind_unix(&path).await.unwrap();
    assert!(matches!(
        bind_unix(&path).await,
        Err(ServeError::Taken { .. })
    ));
    drop(listener);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(
        bind_unix(&path).await,
        Err(ServeError::NoSocket { .. })
    ));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn too_many_streams_are_refused_and_a_closed_one_makes_place() {
    let served = Served::new().await;
    let places = Arc::clone(&served.server.streams)
        .acquire_many_owned(STREAMS.try_into().unwrap())
        .await
        .unwrap();
    let refused = served.flows(GetFlowsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(places);
    assert_eq!(
        served
            .flows(GetFlowsRequest::default())
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn over_tcp_the_same_is_served() {
    let (observer, mut writer) = observer::new(config(15), Arc::new(Cluster));
    record(&mut writer);
    let (_nodes, peers) = watch::channel(Vec::new());
    let server = Server::new(observer, peers, 4244);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn({
        let server = server.clone();
        async move { server.serve_listener(listener, None).await }
    });
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let stream = ObserverClient::new(channel)
        .get_flows(GetFlowsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(stream.count().await, 2);
    server.close();
    serving.await.unwrap().unwrap();
}

mod about;
mod filters;
mod mutual_tls;

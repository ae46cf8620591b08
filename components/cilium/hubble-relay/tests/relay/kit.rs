//! Nodes with Hubble's own server on loopback addresses, and a relay before them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use cilium_hubble::{
    fixture::{self, Cluster},
    names::Node as Name,
    observer::{self, Config, Observer, Writer},
    proto::{
        observer::{
            GetFlowsRequest, GetFlowsResponse, get_flows_response::ResponseTypes,
            observer_client::ObserverClient,
        },
        relay::NodeState,
    },
    ring::Capacity,
    server::Server,
    tls::server::ServerFiles,
    transport,
};
use clap::Parser;
use futures::StreamExt;
use hubble_relay::{args::Args, dial::Security, health, run, service::Relay};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_health::server::HealthReporter;

/// Long enough for a machine that does other things beside, short enough for a person.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A node: what it has seen, and its server while it is up.
pub(crate) struct Node {
    pub(crate) observer: Arc<Observer>,
    pub(crate) writer: Writer,
    address: SocketAddr,
    serving: Option<(Server, JoinHandle<()>)>,
}

/// The cluster's nodes.
pub(crate) struct Nodes {
    pub(crate) all: Vec<Node>,
    pub(crate) peers: watch::Sender<Vec<Name>>,
    files: Option<ServerFiles>,
    port: u16,
}

impl Nodes {
    pub(crate) async fn new(count: u8) -> Self {
        Self::with(count, 255, None).await
    }

    /// Nodes that keep so many flows, and their servers' certificates.
    pub(crate) async fn with(count: u8, capacity: usize, files: Option<ServerFiles>) -> Self {
        let port = free_port().await;
        let mut nodes = Self {
            all: Vec::new(),
            peers: watch::Sender::new(Vec::new()),
            files,
            port,
        };
        for number in 1..=count {
            let name = name(number);
            let config = Config {
                capacity: Capacity::at_least(capacity).unwrap(),
                node: name.clone(),
                ..fixture::config(15)
            };
            let (observer, writer) = observer::new(config, Arc::new(Cluster));
            nodes.all.push(Node {
                observer,
                writer,
                address: SocketAddr::new(name.address.unwrap(), port),
                serving: None,
            });
            nodes.start(number).await;
        }
        nodes.announce(&(1..=count).collect::<Vec<_>>());
        nodes
    }

    pub(crate) fn node(&mut self, number: u8) -> &mut Node {
        &mut self.all[usize::from(number) - 1]
    }

    /// A flow of a node, at a second since 1970.
    pub(crate) fn flow(&mut self, number: u8, second: i64) {
        self.node(number).writer.packet(fixture::at(second));
    }

    /// A flow of a node, now.
    pub(crate) fn flow_now(&mut self, number: u8) {
        let event = cilium_hubble::event::PacketEvent {
            time: now(),
            ..fixture::at(0)
        };
        self.node(number).writer.packet(event);
    }

    /// Every agent says that there are these.
    pub(crate) fn announce(&self, numbers: &[u8]) {
        let names = numbers.iter().map(|number| name(*number)).collect();
        self.peers.send_replace(names);
    }

    pub(crate) async fn start(&mut self, number: u8) {
        let (peers, port, files) = (self.peers.subscribe(), self.port, self.files.clone());
        let node = self.node(number);
        let server = Server::new(node.observer.clone(), peers, port);
        let listener = listen(node.address).await;
        let running = server.clone();
        let task = tokio::spawn(async move {
            running.serve_listener(listener, files).await.unwrap();
        });
        node.serving = Some((server, task));
    }

    pub(crate) async fn stop(&mut self, number: u8) {
        let (server, task) = self.node(number).serving.take().unwrap();
        server.close();
        task.await.unwrap();
    }

    /// Where agents tell which nodes there are: at the first one.
    pub(crate) fn peer_service(&self) -> String {
        self.all[0].address.to_string()
    }
}

/// A relay, and a connection to it.
pub(crate) struct Served {
    pub(crate) relay: Relay,
    pub(crate) stop: CancellationToken,
    pub(crate) channel: Channel,
    _tasks: JoinSet<()>,
}

/// A relay before the nodes, once it has a connection to all that are known.
pub(crate) async fn relay(nodes: &Nodes, arguments: &[&str]) -> Served {
    let served = relay_at(&nodes.peer_service(), Security::Loopback, arguments).await;
    let count = nodes.peers.borrow().len();
    served.connected(count).await;
    served
}

pub(crate) async fn relay_at(peer_service: &str, security: Security, arguments: &[&str]) -> Served {
    let defaults = [
        ("--error-aggregation-window", "100ms"),
        ("--sort-buffer-drain-timeout", "300ms"),
        ("--peer-service", peer_service),
    ];
    let mut all = vec!["hubble-relay".to_owned()];
    for (flag, value) in defaults {
        if !arguments.iter().any(|argument| argument.starts_with(flag)) {
            all.push(format!("{flag}={value}"));
        }
    }
    all.extend(arguments.iter().map(|&argument| argument.to_owned()));
    let args = Args::try_parse_from(all).unwrap();
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let relay = run::start(&args, security, &stop, &mut tasks);
    let reporter = HealthReporter::new();
    tasks.spawn(health::keep(reporter.clone(), relay.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = run::routes(relay.clone(), reporter);
    let closing = stop.clone();
    tasks.spawn(async move {
        transport::serve_listener(routes, listener, None, &closing)
            .await
            .unwrap();
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    Served {
        relay,
        stop,
        channel: endpoint.connect().await.unwrap(),
        _tasks: tasks,
    }
}

impl Served {
    pub(crate) fn client(&self) -> ObserverClient<Channel> {
        ObserverClient::new(self.channel.clone())
    }

    /// Waits until so many nodes are connected, and no other is known.
    pub(crate) async fn connected(&self, count: usize) {
        let mut nodes = self.relay.nodes.clone();
        let connected = nodes.wait_for(|nodes| {
            nodes.len() == count && nodes.values().all(|node| node.channel().is_some())
        });
        tokio::time::timeout(PATIENCE, connected)
            .await
            .expect("the nodes are connected")
            .unwrap();
    }

    pub(crate) async fn stream(&self, request: GetFlowsRequest) -> Result<Flows, Status> {
        let stream = self.client().get_flows(request).await?.into_inner();
        Ok(Flows { stream })
    }

    /// All answers to a request that ends.
    pub(crate) async fn all(&self, request: GetFlowsRequest) -> Result<Vec<Answer>, Status> {
        let stream = self.stream(request).await?.stream;
        let all = tokio::time::timeout(PATIENCE, stream.collect::<Vec<_>>());
        let all = all.await.expect("the stream ends");
        all.into_iter()
            .map(|answer| answer.map(Answer::of))
            .collect()
    }

    /// The seconds of the flows in the answers to a request that ends.
    pub(crate) async fn seconds(&self, request: GetFlowsRequest) -> Vec<i64> {
        let all = self.all(request).await.unwrap();
        all.into_iter().filter_map(Answer::second).collect()
    }
}

/// A stream that is read one by one.
pub(crate) struct Flows {
    pub(crate) stream: Streaming<GetFlowsResponse>,
}

impl Flows {
    pub(crate) async fn next(&mut self) -> Answer {
        let next = tokio::time::timeout(PATIENCE, self.stream.message());
        Answer::of(next.await.expect("an answer").unwrap().expect("no end"))
    }

    /// The next flow, whatever is said of nodes before.
    pub(crate) async fn flow(&mut self) -> (String, i64) {
        loop {
            if let Answer::Flow { node, second } = self.next().await {
                return (node, second);
            }
        }
    }

    /// The next that is said of nodes, whatever flows are before.
    pub(crate) async fn status(&mut self) -> (NodeState, Vec<String>, String) {
        loop {
            if let Answer::Status(state, names, message) = self.next().await {
                return (state, names, message);
            }
        }
    }
}

/// What a stream answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Flow { node: String, second: i64 },
    Status(NodeState, Vec<String>, String),
    Lost { node: String, count: u64 },
}

impl Answer {
    fn of(answer: GetFlowsResponse) -> Self {
        let node = answer.node_name;
        match answer.response_types.unwrap() {
            ResponseTypes::Flow(_) => Self::Flow {
                node,
                second: answer.time.unwrap().seconds,
            },
            ResponseTypes::NodeStatus(event) => {
                Self::Status(event.state_change(), event.node_names, event.message)
            }
            ResponseTypes::LostEvents(lost) => Self::Lost {
                node,
                count: lost.num_events_lost,
            },
        }
    }

    pub(crate) fn second(self) -> Option<i64> {
        match self {
            Self::Flow { second, .. } => Some(second),
            Self::Status(..) | Self::Lost { .. } => None,
        }
    }
}

pub(crate) fn follow() -> GetFlowsRequest {
    GetFlowsRequest {
        follow: true,
        ..GetFlowsRequest::default()
    }
}

pub(crate) fn number(number: u64) -> GetFlowsRequest {
    GetFlowsRequest {
        number,
        ..GetFlowsRequest::default()
    }
}

/// Until it is so.
pub(crate) async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !so() {
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    since.as_nanos().try_into().unwrap()
}

fn name(number: u8) -> Name {
    Name {
        cluster: "default".to_owned(),
        name: format!("worker-{number}"),
        address: Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, number))),
    }
}

/// One that is free on the first address is taken to be so on the others.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Connections of the server before may still be ending.
async fn listen(address: SocketAddr) -> TcpListener {
    for _ in 0..200 {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{address} is taken");
}

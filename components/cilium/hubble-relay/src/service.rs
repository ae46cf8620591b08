//! The service `observer.Observer`, for all nodes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cilium_hubble::proto::{
    observer::{
        GetAgentEventsRequest, GetAgentEventsResponse, GetDebugEventsRequest,
        GetDebugEventsResponse, GetFlowsRequest, GetFlowsResponse, GetNamespacesRequest,
        GetNamespacesResponse, GetNodesRequest, GetNodesResponse, Node, ServerStatusRequest,
        ServerStatusResponse, Tls, observer_client::ObserverClient, observer_server,
    },
    relay::NodeState,
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, transport::Channel};

use crate::{
    flows::{Flows, Settings},
    notify::Told,
    peers::Peer,
    pool::{self, Nodes, State},
    request::Ask,
    summary,
};

/// How long a node may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many nodes are asked at once.
const ASKED: usize = 64;

/// What the relay serves with.
#[derive(Clone, Debug)]
pub struct Relay {
    pub nodes: watch::Receiver<Nodes>,
    pub told: watch::Receiver<Told>,
    pub settings: Settings,
    /// Places for streams.
    pub streams: Arc<Semaphore>,
    /// How many flows were answered with.
    pub answered: Arc<AtomicU64>,
    pub closing: CancellationToken,
}

impl Relay {
    fn version() -> String {
        format!("hubble-relay v{}", cilium_hubble::CILIUM)
    }

    /// The nodes. While none is known because no agent tells of any, that is the answer.
    fn known(&self) -> Result<Nodes, Status> {
        let told = self.told.borrow().clone();
        if told.ever {
            return Ok(self.nodes.borrow().clone());
        }
        let error = told.error;
        let why = error.as_deref().unwrap_or("no agent has told of them yet");
        Err(Status::unavailable(format!(
            "the relay knows no nodes: {why}; try again, or look at its log and at the Service hubble-peer"
        )))
    }

    /// Asks every connected node. `None` for one that is not, or does not answer.
    async fn ask_all<T, F: Future<Output = Result<Response<T>, Status>> + Send>(
        nodes: &Nodes,
        what: &str,
        ask: impl Fn(ObserverClient<Channel>) -> F,
    ) -> Vec<(Arc<Peer>, State, Option<T>)> {
        let asked: Vec<_> = nodes
            .values()
            .map(|node| {
                let client = node
                    .channel()
                    .map(|channel| ObserverClient::new(channel.clone()));
                one(node.clone(), what, client.map(&ask))
            })
            .collect();
        stream::iter(asked).buffered(ASKED).collect().await
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(
                "too many streams are open at the relay; close one, try again later, or raise --max-streams",
            )
        })
    }
}

/// One node's answer.
async fn one<T>(
    node: pool::Node,
    what: &str,
    answer: Option<impl Future<Output = Result<Response<T>, Status>>>,
) -> (Arc<Peer>, State, Option<T>) {
    let mut said = None;
    if let Some(answer) = answer {
        let error = match timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => {
                said = Some(answer.into_inner());
                None
            }
            Ok(Err(status)) => Some(format!("{}: {}", status.code(), status.message())),
            Err(_) => Some("no answer in time".to_owned()),
        };
        if let Some(error) = error {
            tracing::warn!(node = node.peer.name, what, error, "a node does not answer");
        }
    }
    (node.peer, node.state, said)
}

#[tonic::async_trait]
impl observer_server::Observer for Relay {
    type GetFlowsStream = BoxStream<'static, Result<GetFlowsResponse, Status>>;
    type GetAgentEventsStream = BoxStream<'static, Result<GetAgentEventsResponse, Status>>;
    type GetDebugEventsStream = BoxStream<'static, Result<GetDebugEventsResponse, Status>>;

    async fn get_flows(
        &self,
        request: Request<GetFlowsRequest>,
    ) -> Result<Response<Self::GetFlowsStream>, Status> {
        let ask = Ask::new(request.into_inner()).map_err(Status::invalid_argument)?;
        self.known()?;
        let place = self.place()?;
        let flows = Flows::new(ask, self.nodes.clone(), &self.settings);
        let (closing, count) = (self.closing.clone(), self.answered.clone());
        let answers = stream::unfold(Some((flows, place)), move |state| {
            let (closing, count) = (closing.clone(), count.clone());
            async move {
                let (mut flows, place) = state?;
                tokio::select! {
                    () = closing.cancelled() => {
                        Some((Err(Status::unavailable("the relay closes; ask again")), None))
                    }
                    answer = flows.next() => {
                        let answer = answer?;
                        count.fetch_add(1, Ordering::Relaxed);
                        Some((answer, Some((flows, place))))
                    }
                }
            }
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn get_agent_events(
        &self,
        _request: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        Err(of_nodes("agent events"))
    }

    async fn get_debug_events(
        &self,
        _request: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        Err(of_nodes("debug events"))
    }

    async fn get_nodes(
        &self,
        _request: Request<GetNodesRequest>,
    ) -> Result<Response<GetNodesResponse>, Status> {
        let nodes = self.known()?;
        let answers = Self::ask_all(&nodes, "status", |mut client| async move {
            client.server_status(ServerStatusRequest {}).await
        })
        .await;
        let nodes = answers.into_iter().map(node).collect();
        Ok(Response::new(GetNodesResponse { nodes }))
    }

    async fn get_namespaces(
        &self,
        _request: Request<GetNamespacesRequest>,
    ) -> Result<Response<GetNamespacesResponse>, Status> {
        let nodes = self.known()?;
        let answers = Self::ask_all(&nodes, "namespaces", |mut client| async move {
            client.get_namespaces(GetNamespacesRequest {}).await
        })
        .await;
        let answers = answers.into_iter().filter_map(|(_, _, answer)| answer);
        Ok(Response::new(summary::namespaces(answers)))
    }

    async fn server_status(
        &self,
        _request: Request<ServerStatusRequest>,
    ) -> Result<Response<ServerStatusResponse>, Status> {
        let nodes = self.nodes.borrow().clone();
        let answers = Self::ask_all(&nodes, "status", |mut client| async move {
            client.server_status(ServerStatusRequest {}).await
        })
        .await;
        let statuses = answers
            .iter()
            .map(|(peer, _, status)| (peer.name.as_str(), status.clone()));
        Ok(Response::new(summary::status(&Self::version(), statuses)))
    }
}

fn of_nodes(what: &str) -> Status {
    Status::unimplemented(format!(
        "the relay has no {what}: ask the agent of the node they are of"
    ))
}

fn node((peer, state, status): (Arc<Peer>, State, Option<ServerStatusResponse>)) -> Node {
    let state = match (&state, &status) {
        (State::Connected(_), Some(_)) => NodeState::NodeConnected,
        (State::Connected(_), None) => NodeState::NodeError,
        (State::Connecting | State::Unavailable(_), _) => NodeState::NodeUnavailable,
    };
    let status = status.unwrap_or_default();
    Node {
        name: peer.name.clone(),
        version: status.version,
        address: peer.address.clone(),
        state: state.into(),
        tls: Some(Tls {
            enabled: peer.server_name.is_some(),
            server_name: peer.server_name.clone().unwrap_or_default(),
        }),
        uptime_ns: status.uptime_ns,
        num_flows: status.num_flows,
        max_flows: status.max_flows,
        seen_flows: status.seen_flows,
    }
}

//! The service `observer.Observer`.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    Server, now,
    stream::{self, Answers},
};
use crate::{
    filter::Filters,
    flow::timestamp,
    mask::Mask,
    observer::{
        Content, Observer,
        request::{Item, Range, Reader, Wanted},
    },
    proto::{
        observer::{
            GetAgentEventsRequest, GetAgentEventsResponse, GetDebugEventsRequest,
            GetDebugEventsResponse, GetFlowsRequest, GetFlowsResponse, GetNamespacesRequest,
            GetNamespacesResponse, GetNodesRequest, GetNodesResponse, Namespace, Node,
            ServerStatusRequest, ServerStatusResponse, Tls, get_flows_response::ResponseTypes,
            observer_server,
        },
        relay::NodeState,
    },
};

/// Answers for one node.
#[derive(Debug)]
pub(super) struct ObserverService {
    observer: Arc<Observer>,
    streams: Arc<Semaphore>,
    closing: CancellationToken,
    tls: bool,
}

impl ObserverService {
    pub(super) fn new(server: &Server, tls: bool) -> Self {
        Self {
            observer: Arc::clone(&server.observer),
            streams: Arc::clone(&server.streams),
            closing: server.closing.clone(),
            tls,
        }
    }

    fn stream<T: Send + 'static>(
        &self,
        wanted: Wanted,
        range: Range,
        answer: impl Fn(&Observer, Item) -> Option<T> + Send + 'static,
    ) -> Result<Response<Answers<T>>, Status> {
        let place = stream::place(&self.streams)?;
        let reader = Reader::new(Arc::clone(&self.observer), wanted, range);
        let observer = Arc::clone(&self.observer);
        let answers = stream::answers(reader, place, self.closing.clone(), move |item| {
            answer(&observer, item)
        });
        Ok(Response::new(answers))
    }

    fn version(&self) -> String {
        format!("cilium v{}", self.observer.version())
    }
}

#[tonic::async_trait]
impl observer_server::Observer for ObserverService {
    type GetFlowsStream = Answers<GetFlowsResponse>;
    type GetAgentEventsStream = Answers<GetAgentEventsResponse>;
    type GetDebugEventsStream = Answers<GetDebugEventsResponse>;

    async fn get_flows(
        &self,
        request: Request<GetFlowsRequest>,
    ) -> Result<Response<Self::GetFlowsStream>, Status> {
        let request = request.into_inner();
        let range = Range::of_flows(&request).map_err(refused)?;
        let filters = Filters::compile(&request.whitelist, &request.blacklist).map_err(refused)?;
        let mask = Mask::new(&request.field_mask.unwrap_or_default().paths).map_err(refused)?;
        self.stream(Wanted::Flows(filters), range, move |observer, item| {
            flow_answer(observer, &mask, item)
        })
    }

    async fn get_agent_events(
        &self,
        request: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        let range = Range::of_agent_events(request.get_ref()).map_err(refused)?;
        self.stream(Wanted::AgentEvents, range, agent_answer)
    }

    async fn get_debug_events(
        &self,
        request: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        let range = Range::of_debug_events(request.get_ref()).map_err(refused)?;
        self.stream(Wanted::DebugEvents, range, |_, _| None)
    }

    /// Hubble's own node server leaves this to the relay; this one knows itself, and says so.
    async fn get_nodes(
        &self,
        _request: Request<GetNodesRequest>,
    ) -> Result<Response<GetNodesResponse>, Status> {
        let observer = &self.observer;
        let node = Node {
            name: observer.node_name().to_owned(),
            version: self.version(),
            address: observer
                .node()
                .address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            state: NodeState::NodeConnected.into(),
            tls: Some(Tls {
                enabled: self.tls,
                server_name: String::new(),
            }),
            uptime_ns: uptime(observer),
            num_flows: observer.ring().len(),
            max_flows: observer.ring().capacity(),
            seen_flows: observer.seen_flows(),
        };
        Ok(Response::new(GetNodesResponse { nodes: vec![node] }))
    }

    async fn get_namespaces(
        &self,
        _request: Request<GetNamespacesRequest>,
    ) -> Result<Response<GetNamespacesResponse>, Status> {
        let seen = self.observer.namespaces(now());
        let namespaces = seen
            .into_iter()
            .map(|seen| Namespace {
                cluster: seen.cluster,
                namespace: seen.name,
            })
            .collect();
        Ok(Response::new(GetNamespacesResponse { namespaces }))
    }

    async fn server_status(
        &self,
        _request: Request<ServerStatusRequest>,
    ) -> Result<Response<ServerStatusResponse>, Status> {
        let observer = &self.observer;
        Ok(Response::new(ServerStatusResponse {
            num_flows: observer.ring().len(),
            max_flows: observer.ring().capacity(),
            seen_flows: observer.seen_flows(),
            uptime_ns: uptime(observer),
            num_connected_nodes: Some(1),
            num_unavailable_nodes: Some(0),
            unavailable_nodes: Vec::new(),
            version: self.version(),
            flows_rate: observer.flow_rate(now()),
        }))
    }
}

fn refused(error: impl std::error::Error) -> Status {
    Status::invalid_argument(error.to_string())
}

fn uptime(observer: &Observer) -> u64 {
    u64::try_from(observer.uptime().as_nanos()).unwrap_or(u64::MAX)
}

/// What a client gets of an item; nothing of what is no flow.
pub(crate) fn flow_answer(
    observer: &Observer,
    mask: &Mask,
    item: Item,
) -> Option<GetFlowsResponse> {
    match item {
        Item::Entry(entry) => {
            let flow = mask.apply(entry.flow(observer)?);
            Some(GetFlowsResponse {
                node_name: flow.node_name.clone(),
                time: flow.time,
                response_types: Some(ResponseTypes::Flow(Box::new(flow))),
            })
        }
        Item::Lost { time, event } => Some(GetFlowsResponse {
            node_name: observer.node_name().to_owned(),
            time: Some(timestamp(time)),
            response_types: Some(ResponseTypes::LostEvents(event)),
        }),
    }
}

fn agent_answer(observer: &Observer, item: Item) -> Option<GetAgentEventsResponse> {
    let Item::Entry(entry) = item else {
        return None;
    };
    let Content::Agent(event) = entry.content() else {
        return None;
    };
    Some(GetAgentEventsResponse {
        agent_event: Some((**event).clone()),
        node_name: observer.node_name().to_owned(),
        time: Some(timestamp(entry.time())),
    })
}

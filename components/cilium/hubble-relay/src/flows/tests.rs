use std::sync::Arc;

use cilium_hubble::proto::{observer::GetFlowsRequest, relay::NodeState};
use tokio::net::TcpListener;
use tonic::transport::Endpoint;

use super::*;
use crate::{
    peers::Peer,
    pool::{Node, State},
};

/// A node that takes connections and says nothing.
async fn silent() -> (TcpListener, watch::Sender<Nodes>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let node = Node {
        peer: Arc::new(Peer {
            name: "silent".to_owned(),
            address: address.to_string(),
            server_name: None,
        }),
        state: State::Connected(endpoint.connect_lazy()),
        version: 0,
    };
    let nodes = watch::Sender::new([("silent".into(), node)].into());
    (listener, nodes)
}

fn settings() -> Settings {
    Settings {
        sorting: Sorting {
            capacity: 10,
            wait: Duration::from_millis(50),
        },
        window: Duration::from_millis(50),
        budget: Budget::new(10),
        stalled: Duration::from_millis(200),
    }
}

async fn said(flows: &mut Flows) -> Option<(NodeState, String)> {
    let next = tokio::time::timeout(Duration::from_secs(10), flows.next());
    let answer = next.await.unwrap()?.unwrap();
    let Some(ResponseTypes::NodeStatus(event)) = answer.response_types else {
        panic!("no flow is there");
    };
    Some((event.state_change(), event.message))
}

#[tokio::test]
async fn a_node_that_only_has_to_hand_over_and_is_silent_is_given_up_by_name() {
    let (_listener, nodes) = silent().await;
    let ask = Ask::new(GetFlowsRequest::default()).unwrap();
    let mut flows = Flows::new(ask, nodes.subscribe(), &settings());
    let (state, _) = said(&mut flows).await.unwrap();
    assert_eq!(state, NodeState::NodeConnected);
    let (state, message) = said(&mut flows).await.unwrap();
    assert_eq!(state, NodeState::NodeError);
    assert!(message.contains("silent"), "{message}");
    assert_eq!(said(&mut flows).await, None, "and the stream is over");
}

#[tokio::test]
async fn a_node_that_is_followed_may_be_silent() {
    let (_listener, nodes) = silent().await;
    let ask = Ask::new(GetFlowsRequest {
        follow: true,
        ..GetFlowsRequest::default()
    });
    let mut flows = Flows::new(ask.unwrap(), nodes.subscribe(), &settings());
    let (state, _) = said(&mut flows).await.unwrap();
    assert_eq!(state, NodeState::NodeConnected);
    let more = tokio::time::timeout(Duration::from_millis(500), flows.next());
    assert!(more.await.is_err(), "there is nothing to say");
}

#[tokio::test]
async fn only_who_follows_waits_to_ask_a_node_again_that_failed() {
    for follow in [false, true] {
        let (_listener, nodes) = silent().await;
        let ask = Ask::new(GetFlowsRequest {
            follow,
            ..GetFlowsRequest::default()
        });
        let (mut members, joins) = Members::first(&nodes.borrow(), &ask.unwrap(), 0);
        let mut statuses = Statuses::new(Duration::from_millis(50));
        let status = Status::unavailable("it is gone");
        members.failed(&joins[0].source, &status, &mut statuses, Instant::now());
        assert_eq!(members.due().is_some(), follow);
    }
}

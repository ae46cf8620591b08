//! Nodes that come, go and come back.

use std::time::Duration;

use cilium_hubble::proto::{observer::GetFlowsRequest, relay::NodeState};
use hubble_relay::{dial::Security, health};
use tonic::Code;

use crate::kit::{Answer, Nodes, eventually, follow, relay, relay_at};

#[tokio::test]
async fn a_node_that_is_down_is_named_with_the_reason_and_the_others_answer() {
    let mut nodes = Nodes::new(3).await;
    for number in 1..=3 {
        nodes.flow(number, number.into());
    }
    nodes.stop(2).await;
    let served = relay_at(&nodes.peer_service(), Security::Loopback, &[]).await;
    let known = served.relay.nodes.clone();
    eventually("two are connected, and the third has failed", || {
        let nodes = known.borrow();
        let connected = nodes.values().filter(|node| node.channel().is_some());
        nodes.len() == 3 && connected.count() == 2
    })
    .await;
    let all = served.all(GetFlowsRequest::default()).await.unwrap();
    let Answer::Status(state, names, reason) = &all[1] else {
        panic!("{all:?}");
    };
    assert_eq!(
        (*state, names.as_slice()),
        (NodeState::NodeUnavailable, &["worker-2".to_owned()][..])
    );
    assert!(
        reason.contains("127.0.0.2") && reason.contains("refused"),
        "{reason}"
    );
    let seconds: Vec<_> = all.into_iter().filter_map(Answer::second).collect();
    assert_eq!(seconds, [1, 3]);
}

#[tokio::test]
async fn a_node_that_was_down_gives_what_happened_meanwhile_and_nothing_twice() {
    let mut nodes = Nodes::new(2).await;
    let served = relay(&nodes, &[]).await;
    let mut stream = served.stream(follow()).await.unwrap();
    assert_eq!(stream.status().await.0, NodeState::NodeConnected);
    tokio::time::sleep(Duration::from_secs(2)).await;
    nodes.flow_now(2);
    assert_eq!(stream.flow().await.0, "default/worker-2");
    nodes.stop(2).await;
    let (state, names, _) = stream.status().await;
    assert_eq!(
        (state, names),
        (NodeState::NodeError, vec!["worker-2".to_owned()])
    );
    nodes.flow_now(2);
    nodes.flow_now(1);
    assert_eq!(stream.flow().await.0, "default/worker-1");
    nodes.start(2).await;
    let (state, names, _) = stream.status().await;
    assert_eq!(
        (state, names),
        (NodeState::NodeConnected, vec!["worker-2".to_owned()])
    );
    assert_eq!(stream.flow().await.0, "default/worker-2");
    nodes.flow_now(1);
    assert_eq!(
        stream.flow().await.0,
        "default/worker-1",
        "and not worker-2 again"
    );
}

#[tokio::test]
async fn a_node_that_joins_is_followed_and_one_that_leaves_is_gone() {
    let mut nodes = Nodes::new(3).await;
    nodes.announce(&[1, 2]);
    let served = relay(&nodes, &[]).await;
    let mut stream = served.stream(follow()).await.unwrap();
    let (_, names, _) = stream.status().await;
    assert_eq!(names, ["worker-1", "worker-2"]);
    nodes.announce(&[1, 2, 3]);
    let (state, names, _) = stream.status().await;
    assert_eq!(
        (state, names),
        (NodeState::NodeConnected, vec!["worker-3".to_owned()])
    );
    nodes.flow_now(3);
    assert_eq!(stream.flow().await.0, "default/worker-3");
    nodes.announce(&[1, 3]);
    let (state, names, _) = stream.status().await;
    assert_eq!(
        (state, names),
        (NodeState::NodeGone, vec!["worker-2".to_owned()])
    );
}

#[tokio::test]
async fn while_no_agent_tells_of_nodes_the_known_ones_stay_and_a_fresh_stream_decides() {
    let mut nodes = Nodes::new(3).await;
    let served = relay(&nodes, &[]).await;
    nodes.stop(1).await;
    nodes.announce(&[1, 2]);
    let told = served.relay.told.clone();
    eventually("the stream is lost", || told.borrow().error.is_some()).await;
    nodes.flow(3, 3);
    assert_eq!(served.seconds(GetFlowsRequest::default()).await, [3]);
    nodes.start(1).await;
    served.connected(2).await;
    assert_eq!(told.borrow().error, None);
    assert!(!served.relay.nodes.borrow().contains_key("worker-3"));
}

#[tokio::test]
async fn while_no_agent_was_ever_reached_that_is_the_answer() {
    let served = relay_at("127.0.0.1:1", Security::Loopback, &[]).await;
    let told = served.relay.told.clone();
    eventually("the attempt failed", || told.borrow().error.is_some()).await;
    let refused = served.stream(follow()).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(
        refused.message().contains("127.0.0.1:1") && refused.message().contains("hubble-peer"),
        "{refused}"
    );
    let why = health::trouble(&told.borrow(), &served.relay.nodes.borrow()).unwrap();
    assert!(why.contains("no nodes are known"), "{why}");
}

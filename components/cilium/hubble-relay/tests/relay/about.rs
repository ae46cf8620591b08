//! What is said of all nodes together.

use cilium_hubble::proto::{
    observer::{
        GetAgentEventsRequest, GetDebugEventsRequest, GetNamespacesRequest, GetNodesRequest,
        ServerStatusRequest,
    },
    relay::NodeState,
};
use cilium_hubble::{event::PacketEvent, fixture};
use hubble_relay::{health, metrics};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::kit::{Nodes, Served, eventually, now, relay};

async fn health(served: &Served, service: &str) -> i32 {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let mut client = HealthClient::new(served.channel.clone());
    client.check(request).await.unwrap().into_inner().status
}

#[tokio::test]
async fn the_status_is_the_sum_and_names_who_is_away() {
    let mut nodes = Nodes::new(3).await;
    nodes.flow(1, 1);
    nodes.flow(2, 2);
    let served = relay(&nodes, &[]).await;
    nodes.stop(3).await;
    let known = served.relay.nodes.clone();
    eventually("the loss is noticed", || {
        known.borrow()["worker-3"].channel().is_none()
    })
    .await;
    let status = served.client().server_status(ServerStatusRequest {}).await;
    let status = status.unwrap();
    let version = status.metadata().get("hubble-relay-version");
    assert_eq!(version.unwrap(), "1.20.2");
    let status = status.into_inner();
    assert_eq!(
        (status.num_flows, status.max_flows, status.seen_flows),
        (2, 510, 2)
    );
    assert_eq!(
        (status.num_connected_nodes, status.num_unavailable_nodes),
        (Some(2), Some(1))
    );
    assert_eq!(status.unavailable_nodes, ["worker-3"]);
    assert_eq!(status.version, "hubble-relay v1.20.2");
    assert!(status.uptime_ns > 0);
    let (told, nodes) = (served.relay.told.borrow(), served.relay.nodes.borrow());
    assert_eq!(
        health::trouble(&told, &nodes),
        None,
        "two are enough to serve"
    );
    let incomplete = health::incomplete(&told, &nodes).unwrap();
    assert!(
        incomplete.contains("1 of 3 nodes") && incomplete.contains("worker-3"),
        "{incomplete}"
    );
}

#[tokio::test]
async fn each_node_says_what_it_is() {
    let mut nodes = Nodes::new(2).await;
    let served = relay(&nodes, &[]).await;
    nodes.stop(2).await;
    let known = served.relay.nodes.clone();
    eventually("the loss is noticed", || {
        known.borrow()["worker-2"].channel().is_none()
    })
    .await;
    let answer = served.client().get_nodes(GetNodesRequest {}).await;
    let answer = answer.unwrap().into_inner().nodes;
    let states: Vec<_> = answer
        .iter()
        .map(|node| {
            (
                node.name.as_str(),
                node.state(),
                node.version.as_str(),
                node.max_flows,
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            ("worker-1", NodeState::NodeConnected, "cilium v1.20.2", 255),
            ("worker-2", NodeState::NodeUnavailable, "", 0),
        ]
    );
    assert!(
        answer[1].address.starts_with("127.0.0.2:"),
        "{}",
        answer[1].address
    );
}

#[tokio::test]
async fn namespaces_are_those_of_all_nodes_each_once() {
    let mut nodes = Nodes::new(2).await;
    for number in [1, 2] {
        let event = PacketEvent {
            time: now(),
            ..fixture::at(0)
        };
        nodes.node(number).writer.packet(event);
    }
    let served = relay(&nodes, &[]).await;
    let answer = served
        .client()
        .get_namespaces(GetNamespacesRequest {})
        .await;
    let answer = answer.unwrap().into_inner().namespaces;
    let names: Vec<_> = answer
        .iter()
        .map(|seen| (seen.cluster.as_str(), seen.namespace.as_str()))
        .collect();
    assert_eq!(names, [("default", "default"), ("default", "shop")]);
}

#[tokio::test]
async fn events_of_agents_are_left_to_their_nodes() {
    let nodes = Nodes::new(1).await;
    let served = relay(&nodes, &[]).await;
    let agent = served
        .client()
        .get_agent_events(GetAgentEventsRequest::default())
        .await;
    let debug = served
        .client()
        .get_debug_events(GetDebugEventsRequest::default())
        .await;
    assert_eq!(agent.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(debug.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn the_relay_is_well_while_a_node_is_connected_and_says_so_everywhere() {
    let mut nodes = Nodes::new(1).await;
    let served = relay(&nodes, &[]).await;
    for service in ["", "observer.Observer", "hubble.server.Observer"] {
        assert_eq!(health(&served, service).await, 1, "{service}");
    }
    let text = metrics::text(&served.relay).unwrap();
    let ready = "hubble_relay_pool_peer_connection_status{status=\"READY\"} 1";
    assert!(text.contains(ready), "{text}");
    assert!(
        text.contains("hubble_relay_peer_service_connected 1"),
        "{text}"
    );
    let incomplete =
        || health::incomplete(&served.relay.told.borrow(), &served.relay.nodes.borrow());
    assert_eq!(incomplete(), None);
    nodes.stop(1).await;
    let trouble = || health::trouble(&served.relay.told.borrow(), &served.relay.nodes.borrow());
    eventually("the loss is noticed", || trouble().is_some()).await;
    let why = trouble().unwrap();
    assert!(
        why.contains("none of 1 nodes") && why.contains("worker-1"),
        "{why}"
    );
    assert!(incomplete().is_some());
    let mut status = 1;
    for _ in 0..100 {
        status = health(&served, "").await;
        if status == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(status, 2, "not serving");
    let text = metrics::text(&served.relay).unwrap();
    assert!(text.contains("{status=\"TRANSIENT_FAILURE\"} 1"), "{text}");
}

use std::{sync::Arc, time::Duration};

use cilium_hubble::{
    event::{Lost, LostAt},
    flow::timestamp,
    proto::{
        observer::{GetFlowsRequest, get_flows_response::ResponseTypes},
        relay::NodeState,
    },
};
use tonic::Code;

use crate::kit::{Answer, Nodes, Served, eventually, follow, now, number, relay};

/// Three nodes whose flows lie between each other's, seconds 1 to 30.
async fn three() -> (Nodes, Served) {
    let mut nodes = Nodes::new(3).await;
    for second in 1..=30u8 {
        nodes.flow(second % 3 + 1, second.into());
    }
    let served = relay(&nodes, &[]).await;
    (nodes, served)
}

#[tokio::test]
async fn the_flows_of_three_nodes_come_in_one_order_after_which_nodes_they_are_of() {
    let (_nodes, served) = three().await;
    let all = served.all(GetFlowsRequest::default()).await.unwrap();
    let names = ["worker-1", "worker-2", "worker-3"].map(str::to_owned);
    assert_eq!(
        all[0],
        Answer::Status(NodeState::NodeConnected, names.to_vec(), String::new())
    );
    let seconds: Vec<i64> = all[1..]
        .iter()
        .cloned()
        .filter_map(Answer::second)
        .collect();
    assert_eq!(seconds, (1..=30).collect::<Vec<_>>());
    let Answer::Flow { node, .. } = &all[1] else {
        panic!("a flow");
    };
    assert_eq!(node, "default/worker-2");
}

#[tokio::test]
async fn the_last_and_the_first_are_those_of_all_nodes_together() {
    let (_nodes, served) = three().await;
    assert_eq!(served.seconds(number(4)).await, [27, 28, 29, 30]);
    let first = GetFlowsRequest {
        first: true,
        ..number(4)
    };
    assert_eq!(served.seconds(first).await, [1, 2, 3, 4]);
    let since = GetFlowsRequest {
        since: Some(timestamp(10_000_000_000)),
        ..number(3)
    };
    assert_eq!(served.seconds(since).await, [10, 11, 12]);
    let between = GetFlowsRequest {
        since: Some(timestamp(10_000_000_000)),
        until: Some(timestamp(14_000_000_000)),
        ..GetFlowsRequest::default()
    };
    assert_eq!(served.seconds(between).await, [10, 11, 12, 13, 14]);
}

#[tokio::test]
async fn many_flows_of_uneven_nodes_stay_in_order_though_the_buffer_is_small() {
    let mut nodes = Nodes::with(3, 4095, None).await;
    for second in 1..=3000 {
        nodes.flow(1, second);
    }
    for second in 1..=50 {
        nodes.flow(2, second * 60);
    }
    nodes.flow(3, 2999);
    let served = relay(&nodes, &["--sort-buffer-len-max=10"]).await;
    let seconds = served.seconds(GetFlowsRequest::default()).await;
    assert_eq!(seconds.len(), 3051);
    assert!(seconds.is_sorted());
}

#[tokio::test]
async fn who_follows_gets_the_last_of_all_nodes_and_then_what_comes() {
    let (mut nodes, served) = three().await;
    let mut stream = served
        .stream(GetFlowsRequest {
            number: 2,
            ..follow()
        })
        .await
        .unwrap();
    assert_eq!(stream.flow().await.1, 29);
    assert_eq!(stream.flow().await.1, 30);
    for number in [2, 1, 3, 1] {
        nodes.flow_now(number);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut came = Vec::new();
    for _ in 0..4 {
        came.push(stream.flow().await.0);
    }
    let expected = [2, 1, 3, 1].map(|number| format!("default/worker-{number}"));
    assert_eq!(came, expected);
}

#[tokio::test]
async fn a_quiet_node_does_not_hold_back_the_others() {
    let mut nodes = Nodes::new(3).await;
    let served = relay(&nodes, &["--sort-buffer-drain-timeout=200ms"]).await;
    let mut stream = served.stream(follow()).await.unwrap();
    assert_eq!(stream.status().await.0, NodeState::NodeConnected);
    // Nodes answer a little after they were asked.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = std::time::Instant::now();
    nodes.flow_now(1);
    assert_eq!(stream.flow().await.0, "default/worker-1");
    let waited = before.elapsed();
    assert!(waited >= Duration::from_millis(150), "{waited:?}");
    assert!(waited < Duration::from_secs(5), "{waited:?}");
}

#[tokio::test]
async fn losses_of_nodes_are_passed_on_and_do_not_count() {
    let mut nodes = Nodes::new(2).await;
    nodes.flow(1, 1);
    nodes.node(1).writer.lost(Lost {
        time: 2_000_000_000,
        count: 7,
        cpu: None,
        place: LostAt::Queue,
    });
    nodes.flow(2, 3);
    nodes.flow(1, 4);
    let served = relay(&nodes, &[]).await;
    let all = served.all(number(2)).await.unwrap();
    let node = |number| format!("default/worker-{number}");
    assert_eq!(
        all[1..],
        [
            Answer::Lost {
                node: node(1),
                count: 7
            },
            Answer::Flow {
                node: node(2),
                second: 3
            },
            Answer::Flow {
                node: node(1),
                second: 4
            },
        ]
    );
}

#[tokio::test]
async fn order_is_kept_for_who_does_not_ask_for_the_time() {
    let (_nodes, served) = three().await;
    let mask = prost_types::FieldMask {
        paths: vec!["verdict".to_owned()],
    };
    let request = GetFlowsRequest {
        field_mask: Some(mask),
        ..GetFlowsRequest::default()
    };
    let mut stream = served
        .client()
        .get_flows(request)
        .await
        .unwrap()
        .into_inner();
    let mut seconds = Vec::new();
    while let Some(answer) = stream.message().await.unwrap() {
        if let Some(ResponseTypes::Flow(flow)) = answer.response_types {
            assert_eq!((flow.time, flow.node_name.as_str()), (None, ""));
            seconds.push(answer.time.unwrap().seconds);
        }
    }
    assert_eq!(seconds, (1..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_client_that_goes_ends_its_streams_at_the_nodes() {
    let nodes = Nodes::new(2).await;
    let served = relay(&nodes, &[]).await;
    let readers = || -> Vec<usize> {
        nodes
            .all
            .iter()
            .map(|node| Arc::strong_count(&node.observer))
            .collect()
    };
    let before = readers();
    let stream = served.stream(follow()).await.unwrap();
    eventually("both nodes are read", || {
        readers()
            .iter()
            .zip(&before)
            .all(|(now, before)| now > before)
    })
    .await;
    let places = served.relay.streams.available_permits();
    drop(stream);
    eventually("no node is read", || readers() == before).await;
    assert_eq!(served.relay.streams.available_permits(), places + 1);
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_nobody_else() {
    let mut nodes = Nodes::with(2, 8191, None).await;
    for second in 1..=8000 {
        nodes.flow(1, second);
        nodes.flow(2, second);
    }
    let served = relay(&nodes, &[]).await;
    let lazy = served.stream(GetFlowsRequest::default()).await.unwrap();
    let seconds = served.seconds(GetFlowsRequest::default()).await;
    assert_eq!(seconds.len(), 16_000);
    // What it did not read is still there for it, and complete.
    let mut lazy = lazy;
    let mut count = 0;
    while let Some(answer) = lazy.stream.message().await.unwrap() {
        count += usize::from(matches!(
            answer.response_types,
            Some(ResponseTypes::Flow(_))
        ));
    }
    assert_eq!(count, 16_000);
}

#[tokio::test]
async fn what_nobody_can_be_served_with_is_refused_by_what_it_is() {
    let (_nodes, served) = three().await;
    let request = GetFlowsRequest {
        first: true,
        ..follow()
    };
    let refused = served.stream(request).await.err().unwrap();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("first"), "{refused}");
}

#[tokio::test]
async fn flows_and_streams_are_limited_and_both_say_how_to_go_on() {
    let (nodes, _) = three().await;
    let served = relay(&nodes, &["--max-buffered-flows=5", "--max-streams=1"]).await;
    assert_eq!(served.seconds(number(5)).await, [26, 27, 28, 29, 30]);
    let full = served.all(number(6)).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted);
    assert!(full.message().contains("--since"), "{full}");
    eventually("the room is given back", || {
        served.relay.settings.budget.free() == 5
    })
    .await;
    let stream = served.stream(follow()).await.unwrap();
    let refused = served.stream(follow()).await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("--max-streams"), "{refused}");
    drop(stream);
}

#[tokio::test]
async fn a_stream_that_follows_to_a_time_ends_then_also_when_nodes_are_quiet() {
    let mut nodes = Nodes::new(2).await;
    let served = relay(&nodes, &[]).await;
    let request = GetFlowsRequest {
        until: Some(timestamp(now() + 5_000_000_000)),
        ..follow()
    };
    let mut stream = served.stream(request).await.unwrap();
    assert_eq!(stream.status().await.0, NodeState::NodeConnected);
    tokio::time::sleep(Duration::from_secs(1)).await;
    nodes.flow_now(1);
    assert_eq!(stream.flow().await.0, "default/worker-1");
    let end = tokio::time::timeout(crate::kit::PATIENCE, stream.stream.message());
    assert_eq!(end.await.unwrap().unwrap(), None);
}

#[tokio::test]
async fn a_relay_that_closes_says_so_to_who_follows() {
    let (_nodes, served) = three().await;
    let mut stream = served.stream(follow()).await.unwrap();
    assert_eq!(stream.status().await.0, NodeState::NodeConnected);
    served.stop.cancel();
    let closed = stream.stream.message().await.unwrap_err();
    assert_eq!(closed.code(), Code::Unavailable);
}

use std::time::Duration;

use futures::StreamExt;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::client::TlsStream;

use super::{super::Limits, kit::*};

/// A connection from another loopback address, as from another machine.
async fn from(kit: &Kit, address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(format!("{address}:0").parse().unwrap())
        .unwrap();
    socket.connect(kit.address).await.unwrap()
}

/// A connection whose handshake is done, without a certificate.
async fn stranger(kit: &Kit, address: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let config = crate::tls::client_config(&kit.roots, None).unwrap();
    let stream = from(kit, address).await;
    let name = AUTHORITY.try_into().unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    connector.connect(name, stream).await
}

#[tokio::test]
async fn idle_handshakes_of_one_address_keep_nobody_out() {
    let kit = Kit::start().await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(from(&kit, "127.0.0.9").await);
    }
    // Above the limit of one address a connection is closed at once.
    let mut byte = [0];
    let last = idle.last_mut().unwrap().read(&mut byte);
    let closed = tokio::time::timeout(Duration::from_secs(2), last).await;
    assert!(closed.is_ok(), "closed unread");
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
}

#[tokio::test]
async fn garbage_and_slow_hellos_end_and_the_loop_lives() {
    let limits = Limits {
        handshake: Duration::from_millis(300),
        ..Limits::default()
    };
    let kit = Kit::with(limits, Duration::from_mins(10)).await;
    let mut garbage = from(&kit, "127.0.0.9").await;
    garbage.write_all(&[0xff; 4096]).await.unwrap();
    let mut slow = from(&kit, "127.0.0.9").await;
    // The first bytes of a ClientHello, and no more.
    slow.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(3), slow.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a handshake that never ends is ended");
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
}

#[tokio::test]
async fn a_connection_without_a_certificate_does_not_live_long() {
    let limits = Limits {
        anonymous: Duration::from_millis(300),
        ..Limits::default()
    };
    let kit = Kit::with(limits, Duration::from_mins(10)).await;
    let mut stream = stranger(&kit, "127.0.0.9").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
}

/// Whether the server keeps it; one above the limits is closed once its handshake is done.
async fn is_kept(stream: &mut TlsStream<TcpStream>) -> bool {
    let mut bytes = [0; 64];
    let read = stream.read(&mut bytes);
    let heard = tokio::time::timeout(Duration::from_secs(1), read).await;
    // The server may speak first.
    heard.map_or(true, |heard| heard.is_ok_and(|length| length > 0))
}

#[tokio::test]
async fn finished_handshakes_without_a_certificate_keep_no_agent_out() {
    let limits = Limits {
        connections: 8,
        strangers: 4,
        ..Limits::default()
    };
    let kit = Kit::with(limits, Duration::from_mins(10)).await;
    let mut held = Vec::new();
    for _ in 0..limits.connections {
        held.push(stranger(&kit, "127.0.0.9").await.unwrap());
    }
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    let mut kept = 0;
    for stream in &mut held {
        kept += usize::from(is_kept(stream).await);
    }
    assert_eq!(kept, limits.strangers);
}

#[tokio::test]
async fn strangers_of_one_address_leave_room_for_those_of_another() {
    let limits = Limits {
        strangers: 4,
        strangers_per_address: 2,
        ..Limits::default()
    };
    let kit = Kit::with(limits, Duration::from_mins(10)).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.extend(stranger(&kit, "127.0.0.9").await.ok());
    }
    let mut other = stranger(&kit, "127.0.0.8").await.unwrap();
    assert!(is_kept(&mut other).await);
    // What ends gives its place back.
    drop(held);
    let again = async {
        loop {
            if let Ok(mut stream) = stranger(&kit, "127.0.0.9").await
                && is_kept(&mut stream).await
            {
                return;
            }
        }
    };
    let again = tokio::time::timeout(Duration::from_secs(20), again).await;
    assert!(again.is_ok());
}

/// As behind a node port, or whatever else gives everybody one address.
#[tokio::test]
async fn strangers_of_an_address_that_agents_share_keep_no_agent_out() {
    let limits = Limits {
        strangers_per_address: 2,
        ..Limits::default()
    };
    let kit = Kit::with(limits, Duration::from_mins(10)).await;
    let mut held = Vec::new();
    for kept in [true, true, false] {
        let mut one = stranger(&kit, "127.0.0.1").await.unwrap();
        assert_eq!(is_kept(&mut one).await, kept);
        held.push(one);
    }
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
}

#[tokio::test]
async fn an_agent_that_reads_nothing_bounds_what_waits_for_it_and_hurts_no_other() {
    use crate::proto::{FromAgent, from_agent, relay_client::RelayClient};
    let kit = Kit::start().await;
    let held = kit.credentials("slow");
    let config = crate::tls::client_config(&kit.roots, Some(&held.identity)).unwrap();
    let channel = crate::client::dial_for_tests(&kit.server(), config).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let hello = crate::proto::Hello {
        protocol_version: 1,
        cluster_uid: UID.to_owned(),
        instance: "slow".to_owned(),
        ..Default::default()
    };
    let message = Some(from_agent::Message::Hello(hello));
    sender.send(FromAgent { message }).await.unwrap();
    let messages = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut client = RelayClient::new(channel);
    let _unread = client.connect(messages).await.unwrap();
    for round in 0..200 {
        let objects = objects(200 + round % 2);
        kit.memory.desired.send_replace(Some(objects));
        tokio::task::yield_now().await;
    }
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    eventually("the other agent has it all", || {
        agent
            .local
            .objects
            .lock()
            .unwrap()
            .as_ref()
            .is_some_and(|objects| objects.len() == 201)
    })
    .await;
}

#[tokio::test]
async fn garbage_messages_end_that_stream_with_a_reason_and_no_other() {
    use crate::proto::{Frame, FromAgent, from_agent, from_server, relay_client::RelayClient};
    let kit = Kit::start().await;
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    let held = kit.credentials("evil");
    let config = crate::tls::client_config(&kit.roots, Some(&held.identity)).unwrap();
    let channel = crate::client::dial_for_tests(&kit.server(), config).await;
    let hello = crate::proto::Hello {
        protocol_version: 1,
        cluster_uid: UID.to_owned(),
        ..Default::default()
    };
    let frame = Frame {
        epoch: 1,
        sequence: 1,
        phase: 2,
        changes: b"garbage".to_vec(),
        size: 7,
        digest: vec![0; 32],
    };
    let messages = [
        from_agent::Message::Hello(hello),
        from_agent::Message::Snapshot(frame),
    ];
    let messages = messages.map(|message| FromAgent {
        message: Some(message),
    });
    let mut client = RelayClient::new(channel);
    let messages = futures::stream::iter(messages).chain(futures::stream::pending());
    let mut answers = client.connect(messages).await.unwrap().into_inner();
    let mut last = None;
    while let Ok(Some(answer)) = answers.message().await {
        last = answer.message;
    }
    let Some(from_server::Message::Refused(refused)) = last else {
        panic!("{last:?}");
    };
    assert!(
        refused.reason.contains("cannot be decompressed")
            || refused.reason.contains("cannot be read")
    );
    assert!(kit.seen("evil", |seen| seen.objects.is_empty()));
    assert!(agent.status.borrow().warmed);
}

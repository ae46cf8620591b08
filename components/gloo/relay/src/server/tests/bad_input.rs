//! What an agent with a good certificate, or a stranger without one, may send: each ends its own stream and hurts no other.

use std::time::Duration;

use futures::StreamExt;
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use super::kit::*;
use crate::{
    client::{Credentials, KeyRequest, dial_for_tests, enrol, renew},
    enrolment::EnrolError,
    proto::{
        Frame, FromAgent, FromServer, Hello, from_agent, from_server, refused::Code,
        relay_client::RelayClient,
    },
    server::MESSAGE_BYTES,
    table::Outgoing,
};

/// Sends bytes as they are, and reads nothing into what comes back.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = FromServer;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(out, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = FromServer;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<FromServer>, Status> {
        FromServer::decode(from)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

fn hello() -> from_agent::Message {
    from_agent::Message::Hello(Hello {
        protocol_version: 1,
        cluster_uid: UID.to_owned(),
        instance: "evil".to_owned(),
        ..Hello::default()
    })
}

fn encoded(message: from_agent::Message) -> Vec<u8> {
    let message = Some(message);
    FromAgent { message }.encode_to_vec()
}

/// Sends these messages on a stream that then stays open, and returns how the server ended it.
async fn ended_by(
    kit: &Kit,
    held: &Credentials,
    messages: Vec<Vec<u8>>,
) -> (Option<from_server::Message>, Option<Status>) {
    let config = crate::tls::client_config(&kit.roots, Some(&held.identity)).unwrap();
    let channel = dial_for_tests(&kit.server(), config).await;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let messages = futures::stream::iter(messages).chain(futures::stream::pending());
    let path = http::uri::PathAndQuery::from_static("/gloonet.relay.v1.Relay/Connect");
    let answer = client
        .streaming(tonic::Request::new(messages), path, Raw)
        .await;
    let mut answers = match answer {
        Ok(answers) => answers.into_inner(),
        Err(status) => return (None, Some(status)),
    };
    let mut last = None;
    let whole = async {
        loop {
            match answers.message().await {
                Ok(Some(answer)) => last = answer.message,
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(20), whole)
        .await
        .expect("the server ends the stream");
    (last, status)
}

fn refused(last: Option<from_server::Message>) -> (Code, String) {
    match last {
        Some(from_server::Message::Refused(refused)) => (refused.code(), refused.reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn truncated_and_garbled_protobuf_ends_its_stream_and_no_other() {
    let kit = Kit::start().await;
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    let held = kit.credentials("evil");
    let good = encoded(hello());
    // Cut within a field; a length that runs far beyond; a wire type that is none; groups without end.
    let mut bad: Vec<Vec<u8>> = (1..good.len()).map(|at| good[..at].to_vec()).collect();
    bad.extend([
        vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f],
        vec![0x0f],
        vec![0xff; 64],
        [0x0b].repeat(4096),
    ]);
    let valid = |bytes: &Vec<u8>| FromAgent::decode(bytes.as_slice()).is_ok();
    bad.retain(|bytes| !valid(bytes));
    assert!(bad.len() > 20, "{}", bad.len());
    for bytes in bad {
        let (last, _) = ended_by(&kit, &held, vec![bytes.clone()]).await;
        assert_eq!(last, None, "{bytes:?}");
    }
    assert!(kit.seen("evil", |seen| seen.fulls == 0));
    assert!(agent.status.borrow().warmed);
}

#[tokio::test]
async fn an_oversized_message_is_never_taken_and_ends_its_stream() {
    let kit = Kit::start().await;
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    let frame = Frame {
        epoch: 1,
        sequence: 1,
        phase: 2,
        changes: vec![0; MESSAGE_BYTES],
        size: 7,
        digest: vec![0; 32],
    };
    let messages = vec![
        encoded(hello()),
        encoded(from_agent::Message::Snapshot(frame)),
    ];
    let (last, _) = ended_by(&kit, &kit.credentials("evil"), messages).await;
    let taken = matches!(last, Some(from_server::Message::SnapshotAck(_)));
    assert!(!taken, "{last:?}");
    eventually("the hub is told", || {
        kit.seen("evil", |seen| seen.closed.len() == 1)
    })
    .await;
    assert!(kit.seen("evil", |seen| seen.objects.is_empty()));
    assert!(agent.status.borrow().warmed);
}

#[tokio::test]
async fn a_replayed_snapshot_changes_nothing_and_a_fresh_one_is_asked_for() {
    let kit = Kit::start().await;
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    let frame = Outgoing::new(1).next(&objects(3)).unwrap().unwrap();
    let frame = encoded(from_agent::Message::Snapshot(frame));
    let mut messages = vec![encoded(hello())];
    messages.extend(std::iter::repeat_n(frame, 20));
    // Each is numbered, so the second one is no news but a fault; what follows a demand for a fresh one is dropped.
    let held = kit.credentials("evil");
    let config = crate::tls::client_config(&kit.roots, Some(&held.identity)).unwrap();
    let channel = dial_for_tests(&kit.server(), config).await;
    let messages = messages
        .iter()
        .map(|bytes| FromAgent::decode(bytes.as_slice()).unwrap());
    let messages = futures::stream::iter(messages.collect::<Vec<_>>());
    let mut client = RelayClient::new(channel);
    let answer = client
        .connect(messages.chain(futures::stream::pending()))
        .await;
    let mut answers = answer.unwrap().into_inner();
    let mut resyncs = 0;
    while resyncs == 0 {
        let answer = tokio::time::timeout(Duration::from_secs(20), answers.message());
        match answer.await.unwrap().unwrap().unwrap().message {
            Some(from_server::Message::Resync(_)) => resyncs += 1,
            Some(from_server::Message::Welcome(_) | from_server::Message::SnapshotAck(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        kit.seen("evil", |seen| (seen.fulls, seen.deltas, seen.objects.len())),
        (1, 0, 3)
    );
    assert!(agent.status.borrow().warmed);
}

#[tokio::test]
async fn an_agent_that_lies_about_its_cluster_is_refused_by_its_certificate() {
    let kit = Kit::start().await;
    let lie = from_agent::Message::Hello(Hello {
        protocol_version: 1,
        cluster_uid: "9999-east".to_owned(),
        ..Hello::default()
    });
    let (last, _) = ended_by(&kit, &kit.credentials("west"), vec![encoded(lie)]).await;
    let (code, reason) = refused(last);
    assert_eq!(code, Code::ClusterUid);
    assert!(
        reason.contains(UID) && reason.contains("9999-east"),
        "{reason}"
    );
    // Nor does west's token make it east.
    let (token, _) = (kit.token("west"), kit.token("east"));
    let (east, request) = ("east".parse().unwrap(), KeyRequest::new().unwrap());
    let given = enrol(&kit.server(), &kit.roots, &east, UID, &token, &request).await;
    assert!(given.is_err());
    assert_eq!(*kit.memory.alerts.lock().unwrap(), [EnrolError::Wrong]);
    assert!(kit.seen("east", |seen| seen.fulls == 0 && seen.closed.is_empty()));
}

/// The name was given to another cluster since: its record is that one's.
#[tokio::test]
async fn the_certificate_of_a_cluster_that_had_the_name_before_is_refused() {
    let kit = Kit::start().await;
    let before = "9999-east";
    let true_for_it = from_agent::Message::Hello(Hello {
        protocol_version: 1,
        cluster_uid: before.to_owned(),
        ..Hello::default()
    });
    let held = kit.credentials_of("west", before);
    let (last, _) = ended_by(&kit, &held, vec![encoded(true_for_it)]).await;
    let (code, reason) = refused(last);
    assert_eq!(code, Code::ClusterUid);
    let words = format!("cluster west was enrolled with UID {UID}, not {before}");
    assert_eq!(reason, words);
    let request = KeyRequest::new().unwrap();
    assert!(renew(&kit.server(), &held, &request).await.is_err());
    assert!(kit.seen("west", |seen| seen.fulls == 0 && seen.closed.is_empty()));
}

#[tokio::test]
async fn an_agent_whose_instance_has_no_end_is_refused() {
    let kit = Kit::start().await;
    let hello = from_agent::Message::Hello(Hello {
        protocol_version: 1,
        cluster_uid: UID.to_owned(),
        instance: "x".repeat(1 << 20),
        ..Hello::default()
    });
    let held = kit.credentials("west");
    let (last, _) = ended_by(&kit, &held, vec![encoded(hello)]).await;
    let (code, reason) = refused(last);
    assert_eq!(code, Code::Protocol);
    assert!(
        reason.contains("1048576 bytes; 256 are allowed"),
        "{reason}"
    );
}

#[tokio::test]
async fn fifty_thousand_objects_come_up_in_one_snapshot() {
    const MANY: usize = 50_000;
    let kit = Kit::start().await;
    let mut agent = kit.agent("west", "one", 1);
    agent.observed.send_replace(Some(objects(MANY)));
    agent.warmed().await;
    eventually("all of them", || {
        kit.seen("west", |seen| seen.objects.len() == MANY)
    })
    .await;
    let mut small = kit.agent("east", "one", 1);
    small.warmed().await;
}

/// A ClientHello as a client sends it, in one TLS record.
fn client_hello(kit: &Kit) -> Vec<u8> {
    let config = crate::tls::client_config(&kit.roots, None).unwrap();
    let name = AUTHORITY.try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(config, name).unwrap();
    let mut record = Vec::new();
    connection.write_tls(&mut record).unwrap();
    record
}

#[tokio::test]
async fn a_client_hello_in_many_records_is_a_client_hello_and_hurts_nobody() {
    let kit = Kit::start().await;
    let whole = client_hello(&kit);
    let (header, payload) = whole.split_at(5);
    let mut stream = TcpStream::connect(kit.address).await.unwrap();
    for part in payload.chunks(7) {
        let mut record = header[..3].to_vec();
        record.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
        record.extend(part);
        stream.write_all(&record).await.unwrap();
    }
    let mut answer = [0];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut answer));
    read.await.unwrap().unwrap();
    assert_eq!(answer, [22], "a handshake record: ServerHello");
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// One HTTP/2 frame.
fn http2(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// POST / to somewhere, by the static table of HPACK.
const REQUEST: &[u8] = &[0x83, 0x86, 0x84, 0x41, 0x01, b'x'];

/// Streams opened and reset at once (CVE-2023-44487); headers that never end (CVE-2024-27316).
fn floods() -> [(&'static str, Vec<u8>); 2] {
    let reset = (0..20_000_u32).flat_map(|number| {
        let stream = 2 * number + 1;
        [
            http2(1, 4, stream, REQUEST),
            http2(3, 0, stream, &[0, 0, 0, 8]),
        ]
        .concat()
    });
    // A literal header without indexing: name "a", a value of 100 bytes.
    let mut header = vec![0x00, 0x01, b'a', 100];
    header.extend([b'b'; 100]);
    let headers = std::iter::once(http2(1, 0, 1, REQUEST));
    let continued = headers.chain((0..20_000).map(|_| http2(9, 0, 1, &header)));
    [
        ("resets", reset.collect()),
        ("continuations", continued.flatten().collect()),
    ]
}

#[tokio::test]
async fn floods_of_frames_before_any_certificate_end_their_connection_and_no_other() {
    let kit = Kit::start().await;
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    for (what, flood) in floods() {
        let config = crate::tls::client_config(&kit.roots, None).unwrap();
        let connector = tokio_rustls::TlsConnector::from(config);
        let stream = TcpStream::connect(kit.address).await.unwrap();
        let name = AUTHORITY.try_into().unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let writing = tokio::spawn(async move {
            let _ = writer.write_all(PREFACE).await;
            let _ = writer.write_all(&flood).await;
            // Held open: that it ends is the server's doing.
            std::future::pending::<()>().await;
        });
        let mut said = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), reader.read_to_end(&mut said));
        assert!(
            ended.await.is_ok(),
            "{what} end their connection long before its time is up"
        );
        writing.abort();
    }
    assert!(agent.status.borrow().warmed);
    let mut next = kit.agent("east", "one", 1);
    next.warmed().await;
}

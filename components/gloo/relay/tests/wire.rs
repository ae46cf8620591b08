//! Messages of each release, as their bytes, are read by this one.
//!
//! `cargo test -p gloo-relay --test wire -- --ignored` writes those of a new protocol version. What is there is never
//! written again: an agent of that release is out there.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

use std::{fs, path::PathBuf};

use gloo_relay::{
    proto::{
        Ack, Frame, FromAgent, FromServer, Held, Hello, Key, ObjectError, Refused, Results, Resync,
        Settled, Welcome, from_agent, from_server, refused::Code,
    },
    session::PROTOCOL,
    table::{Incoming, Outgoing, Source, Taken},
};
use prost::Message;

fn folder(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/wire/v{version}"))
}

fn frame() -> Frame {
    let mut source = Source::default();
    let key = gloo_relay::key::ObjectKey::new("v1", "Service", "shop", "web").unwrap();
    source.set(key, "{\"kind\":\"Service\"}".into());
    Outgoing::new(7).next(&source).unwrap().unwrap()
}

fn ack() -> Ack {
    Ack {
        epoch: 7,
        sequence: 1,
        digest: vec![1; 32],
    }
}

fn resync() -> Resync {
    Resync {
        epoch: 7,
        reason: "drift".to_owned(),
    }
}

fn results() -> Results {
    Results {
        errors: vec![ObjectError {
            key: Some(Key {
                api_version: "cilium.io/v2".to_owned(),
                kind: "CiliumNetworkPolicy".to_owned(),
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
            }),
            message: "no".to_owned(),
            applied: false,
        }],
        held: Some(Held {
            removals: 9,
            digest: "ab".to_owned(),
        }),
        kill_switch: true,
        turn: 4,
    }
}

fn from_agent() -> Vec<(&'static str, from_agent::Message)> {
    use from_agent::Message;
    let hello = Hello {
        protocol_version: 1,
        agent_version: "0.1.0".to_owned(),
        cluster_uid: "uid".to_owned(),
        instance: "pod/1".to_owned(),
        started_ms: 5,
        desired_digest: vec![2; 32],
        capabilities: vec!["status".to_owned()],
    };
    vec![
        ("agent-hello", Message::Hello(hello)),
        ("agent-snapshot", Message::Snapshot(frame())),
        ("agent-desired-ack", Message::DesiredAck(ack())),
        ("agent-results", Message::Results(results())),
        ("agent-resync", Message::Resync(resync())),
    ]
}

fn from_server() -> Vec<(&'static str, from_server::Message)> {
    use from_server::Message;
    let welcome = Welcome {
        protocol_version: 1,
        server_version: "0.1.0".to_owned(),
        instance: "server-0".to_owned(),
        snapshot_digest: vec![3; 32],
    };
    let refused = Refused {
        code: Code::Fenced.into(),
        reason: "another".to_owned(),
    };
    vec![
        ("server-welcome", Message::Welcome(welcome)),
        ("server-snapshot-ack", Message::SnapshotAck(ack())),
        ("server-desired", Message::Desired(frame())),
        ("server-resync", Message::Resync(resync())),
        ("server-refused", Message::Refused(refused)),
        ("server-settled", Message::Settled(Settled { turn: 4 })),
    ]
}

fn read(name: &str) -> Vec<u8> {
    fs::read(folder(1).join(format!("{name}.bin"))).unwrap()
}

#[test]
fn messages_of_version_1_mean_what_they_meant() {
    for (name, message) in from_agent() {
        let read = FromAgent::decode(read(name).as_slice()).unwrap();
        assert_eq!(read.message, Some(message), "{name}");
    }
    for (name, message) in from_server() {
        let read = FromServer::decode(read(name).as_slice()).unwrap();
        assert_eq!(read.message, Some(message), "{name}");
    }
}

#[test]
fn a_frame_of_version_1_is_taken() {
    let message = FromServer::decode(read("server-desired").as_slice()).unwrap();
    let Some(from_server::Message::Desired(frame)) = message.message else {
        panic!("a frame");
    };
    let taken = Incoming::default().take(&frame).unwrap();
    assert!(matches!(taken, Taken::Full(changes) if changes.upserts.len() == 1));
}

#[test]
#[ignore = "writes the messages of a protocol version that has none yet"]
fn write() {
    let folder = folder(PROTOCOL);
    fs::create_dir_all(&folder).unwrap();
    let agent = from_agent().into_iter().map(|(name, message)| {
        let message = Some(message);
        (name, FromAgent { message }.encode_to_vec())
    });
    let server = from_server().into_iter().map(|(name, message)| {
        let message = Some(message);
        (name, FromServer { message }.encode_to_vec())
    });
    for (name, bytes) in agent.chain(server) {
        let path = folder.join(format!("{name}.bin"));
        assert!(!path.exists(), "{} is a release's", path.display());
        fs::write(path, bytes).unwrap();
    }
}

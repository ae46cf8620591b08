//! What is sent to bring the gateway down, or to speak for another cluster: to the collector's own program.

use std::{fs, io::Write, path::Path, time::SystemTime};

use flate2::{Compression, write::GzEncoder};
use gloo_relay::telemetry::TelemetrySigner;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tonic::Code;

use super::gateway::{Gateway, MEMORY, Sent, field, metric, metrics, pair, point};

/// As many messages without content as there is room for: two bytes each, and in memory some hundred.
fn empty(number: u64) -> Vec<u8> {
    field(number, &[]).repeat((1 << 19) - 64)
}

fn gzip(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    for part in parts {
        bomb.write_all(&part).unwrap();
    }
    bomb.finish().unwrap()
}

fn zipped(message: Vec<u8>) -> Vec<u8> {
    gzip(std::iter::once(message))
}

/// Each with what it ends with, where there is one right end.
fn bombs() -> Vec<(&'static str, Vec<u8>, bool, Option<Code>)> {
    let gauge = |points: &[u8]| metrics(&metric("bomb", 5, points));
    let tuples: Vec<u8> = (0..10_000)
        .flat_map(|n| point("a", &n.to_string()))
        .collect();
    let exhausted = Some(Code::ResourceExhausted);
    let zeros = gzip(std::iter::repeat_n(vec![0; 1 << 20], 512));
    assert!(zeros.len() < 1 << 20);
    vec![
        (
            "beyond the limit",
            gauge(&point("a", &"x".repeat(1 << 20))),
            false,
            exhausted,
        ),
        ("512 MiB of zeros", zeros, true, exhausted),
        (
            "10,000 tuples of attributes",
            gauge(&tuples),
            false,
            Some(Code::Ok),
        ),
        ("wrong types", vec![0x0a, 0x02, 0x10, 0x07], false, None),
        (
            "no protobuf",
            vec![0xff; 100_000],
            false,
            Some(Code::Internal),
        ),
        (
            "empty points of a gauge",
            zipped(gauge(&empty(1))),
            true,
            None,
        ),
        (
            "empty points of an exponential histogram",
            zipped(metrics(&metric("bomb", 10, &empty(1)))),
            true,
            None,
        ),
        ("empty metrics", zipped(metrics(&empty(2))), true, None),
        ("empty resources", zipped(empty(1)), true, None),
        (
            "empty attributes",
            zipped(field(1, &field(1, &empty(1)))),
            true,
            None,
        ),
    ]
}

#[tokio::test]
async fn no_bomb_takes_more_memory_than_the_gateway_has_and_what_is_good_is_taken_after_it() {
    for (case, message, gzip, wanted) in bombs() {
        let Some(gateway) = Gateway::start().await else {
            return;
        };
        let sent = Sent {
            message: &message,
            gzip,
            ..Sent::default()
        };
        let code = gateway.send(&sent).await;
        let right = wanted.is_none_or(|wanted| code == wanted);
        assert!(right, "{case}: {code:?}");
        gateway.takes_what_is_good(case).await;
        let peak = gateway.peak();
        println!("{case}: {peak} MiB");
        assert!(peak < MEMORY, "{case}: {peak} MiB");
    }
}

#[tokio::test]
async fn a_huge_header_is_refused_and_what_is_good_is_taken_after_it() {
    let Some(gateway) = Gateway::start().await else {
        return;
    };
    let message = metrics(&metric("bad", 5, &point("a", "b")));
    let sent = Sent {
        message: &message,
        header: 32 << 20,
        ..Sent::default()
    };
    assert_ne!(gateway.send(&sent).await, Code::Ok);
    gateway.takes_what_is_good("a header").await;
    let peak = gateway.peak();
    assert!(peak < MEMORY, "{peak} MiB");
}

#[tokio::test]
async fn garbage_at_the_port_is_let_go_and_what_is_good_is_taken_after_it() {
    let Some(gateway) = Gateway::start().await else {
        return;
    };
    let noise = vec![0xff; 1 << 16];
    let hello = b"\x16\x03\x01\xff\xff";
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &noise, hello] {
        let address = ("127.0.0.1", gateway.ports.gateway);
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may be closed before all of it is read.
        let _sent = stream.write_all(garbage).await;
    }
    gateway.takes_what_is_good("garbage").await;
    assert!(gateway.peak() < MEMORY);
}

/// As the management server signs it for cluster `east`, with the key of RFC 8037, appendix A, or another one.
fn token(folder: &Path, key: &str) -> String {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    let signer = TelemetrySigner {
        key: folder.join("key.pem"),
        authority: folder.join("ca.crt"),
    };
    fs::write(&signer.key, pem).unwrap();
    let east = "east".parse().unwrap();
    signer.sign(&east, SystemTime::now()).unwrap().token
}

const KEY: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
/// The key of nobody.
const OTHER_KEY: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9h";

/// Test 23 of the security reference.
#[tokio::test]
async fn what_a_cluster_sends_under_anothers_name_is_kept_under_its_own() {
    let Some(gateway) = Gateway::start().await else {
        return;
    };
    let token = token(gateway.folder(), KEY);
    // Of the resource: its attributes are field 1, and theirs too.
    let resource = field(1, &field(1, &pair("cluster_name", "west")));
    let metric = metric("lie", 5, &point("a", "b"));
    let message = field(1, &[resource, field(2, &metric)].concat());
    let sent = Sent {
        message: &message,
        token: Some(&token),
        ..Sent::default()
    };
    assert_eq!(gateway.send(&sent).await, Code::Ok);
    let lines = gateway.lines("lie{").await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("cluster_name=\"east\""), "{lines:?}");
}

#[tokio::test]
async fn nobody_sends_for_a_cluster_without_a_token_of_the_management_server() {
    let Some(gateway) = Gateway::start().await else {
        return;
    };
    let message = metrics(&metric("bad", 5, &point("a", "b")));
    let forged = token(gateway.folder(), OTHER_KEY);
    for token in ["", "nonsense", &forged] {
        let sent = Sent {
            message: &message,
            token: Some(token),
            ..Sent::default()
        };
        let code = gateway.send(&sent).await;
        assert_eq!(code, Code::Unauthenticated, "{token}");
    }
    assert!(gateway.lines("bad{").await.is_empty());
}

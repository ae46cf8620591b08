//! What is sent to bring the sink down: it is refused within limits, and the next good batch is stored.

use std::io::Write;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use http_body_util::Full;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value::Value as Any};
use prost::Message;
use redis::cmd;
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{Request, StatusCode},
    transport::Channel,
};
use tower::{Service, ServiceExt};

use crate::server::{Served, length, redis, redis_and_sink, request, text};
use redis_access::testing::RedisServer;

const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// Far above what the sink may take for a request, far below what the bomb unpacks to.
const BOUND_MIB: u64 = 128;

/// What a request ends with, with a message that no client of ours would write.
async fn raw(channel: &mut Channel, message: &[u8], gzip: bool, header: usize) -> Code {
    let mut frame = BytesMut::new();
    frame.put_u8(u8::from(gzip));
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    let mut request = Request::post(format!("http://sink{EXPORT}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if gzip {
        request = request.header("grpc-encoding", "gzip");
    }
    if header > 0 {
        request = request.header("x-long", "x".repeat(header));
    }
    let body = Body::new(Full::new(Bytes::from(frame)));
    let ready = channel.ready().await.unwrap();
    let Ok(answer) = ready.call(request.body(body).unwrap()).await else {
        return Code::Unknown;
    };
    if answer.status() != StatusCode::OK {
        return Status::from_header_map(answer.headers())
            .map_or(Code::Unknown, |status| status.code());
    }
    // A refusal is all in the head.
    Status::from_header_map(answer.headers()).map_or(Code::Ok, |status| status.code())
}

/// Most memory this process had since the last call, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// A body of `levels` lists in one another.
fn nested(levels: usize) -> Vec<u8> {
    let mut value = AnyValue {
        value: Some(Any::BoolValue(true)),
    }
    .encode_to_vec();
    for _ in 0..levels {
        // Field 1 of a list, field 5 of a value; written by hand, since the library takes its levels off the stack.
        for field in [1u8, 5] {
            let mut outer = BytesMut::new();
            outer.put_u8((field << 3) | 2);
            prost::encoding::encode_varint(value.len() as u64, &mut outer);
            outer.put_slice(&value);
            value = outer.to_vec();
        }
    }
    value
}

/// A request with one record that has `body` for its body: fields 1, 2, 2 and 5.
fn around(body: &[u8]) -> Vec<u8> {
    let mut inner = body.to_vec();
    for field in [5u8, 2, 2, 1] {
        let mut outer = BytesMut::new();
        outer.put_u8((field << 3) | 2);
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.put_slice(&inner);
        inner = outer.to_vec();
    }
    inner
}

async fn is_served(redis: &RedisServer, served: &Served) {
    let mut client = served.client().await;
    let good = request("analyzer", &["good".to_owned()]);
    client.export(good).await.unwrap();
    let key = "gloonet:v1:logs:west:analyzer:images:0";
    assert_eq!(length(redis, key).await, 1);
}

#[tokio::test]
async fn a_zip_bomb_is_not_unpacked_beyond_the_limit_and_the_next_batch_is_stored() {
    let (redis, served) = redis_and_sink().await;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..512 {
        bomb.write_all(&zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    let mut channel = served.channel().await;
    let before = peak();
    let code = raw(&mut channel, &bomb, true, 0).await;
    let grown = peak().saturating_sub(before);
    assert_eq!(code, Code::ResourceExhausted);
    assert!(grown < BOUND_MIB, "{grown} MiB");
    is_served(&redis, &served).await;
}

#[tokio::test]
async fn a_message_nested_without_end_is_refused_and_the_next_batch_is_stored() {
    let (redis, served) = redis_and_sink().await;
    let mut channel = served.channel().await;
    // What is less deep is read, and refused or stored record by record.
    assert_eq!(
        raw(&mut channel, &around(&nested(20)), false, 0).await,
        Code::Ok
    );
    // OTLP's senders give up what ends so.
    let endless = around(&nested(3000));
    assert_eq!(raw(&mut channel, &endless, false, 0).await, Code::Internal);
    is_served(&redis, &served).await;
}

#[tokio::test]
async fn a_huge_header_is_refused_and_the_next_batch_is_stored() {
    let (redis, served) = redis_and_sink().await;
    let mut channel = served.channel().await;
    let good = around(&[]);
    assert_eq!(raw(&mut channel, &good, false, 1000).await, Code::Ok);
    let before = peak();
    let code = raw(&mut channel, &good, false, 8 << 20).await;
    let grown = peak().saturating_sub(before);
    assert_ne!(code, Code::Ok);
    assert!(grown < BOUND_MIB, "{grown} MiB");
    is_served(&redis, &served).await;
}

/// Every attribute that a stream is named by is a list, and the body no text.
#[tokio::test]
async fn records_with_values_of_wrong_types_are_refused_and_their_neighbours_stored() {
    let (redis, served) = redis_and_sink().await;
    let list = Some(AnyValue {
        value: Some(Any::ArrayValue(ArrayValue::default())),
    });
    let mut batch = request("analyzer", &["good".to_owned()]);
    for name in ["cluster_name", "source"] {
        let mut wrong = request("analyzer", &["wrong".to_owned()]);
        let resource = wrong.resource_logs[0].resource.as_mut().unwrap();
        let attribute = resource.attributes.iter_mut().find(|one| one.key == name);
        attribute.unwrap().value.clone_from(&list);
        batch.resource_logs.extend(wrong.resource_logs);
    }
    let answer = served.client().await.export(batch).await.unwrap();
    let partial = answer.into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 2);
    assert_eq!(served.counted("redis_sink_records_total", "refused"), 2);
    is_served(&redis, &served).await;
}

/// Of what the sink counts, and of what Redis itself says it has.
#[tokio::test]
async fn a_cluster_that_fills_its_bytes_is_refused_and_named_and_another_one_is_stored() {
    const ROOM: u64 = 4 << 20;
    let redis = redis().await;
    let served = Served::with_room(&redis, ROOM).await;
    let mut client = served.client().await;
    let mut refused = 0;
    for at in 0..100 {
        let mut batch = request("analyzer", &["x".repeat(100_000)]);
        let record = &mut batch.resource_logs[0].scope_logs[0].log_records[0];
        record.attributes[0] = text("analyzer", &format!("flood-{at}"));
        let answer = client.export(batch).await.unwrap().into_inner();
        let partial = answer.partial_success.unwrap_or_default();
        refused += u64::try_from(partial.rejected_log_records).unwrap();
    }
    assert!((50..70).contains(&refused), "{refused}");
    let counted = |name| served.counted(name, "cluster=\"west\"");
    let named = counted("redis_sink_cluster_refused_records_total");
    assert_eq!(named, refused);
    let bytes = counted("redis_sink_cluster_bytes");
    let has = taken(&redis, "gloonet:v1:logs:west:*").await;
    assert!(has <= bytes && bytes <= ROOM, "{has} of {bytes}");
    let mut other = request("analyzer", &["x".repeat(100_000)]);
    let resource = other.resource_logs[0].resource.as_mut().unwrap();
    resource.attributes[0] = text("cluster_name", "east");
    client.export(other).await.unwrap();
    let key = "gloonet:v1:logs:east:analyzer:images:0";
    assert_eq!(length(&redis, key).await, 1);
}

/// Bytes that Redis says keys of this pattern take.
async fn taken(redis: &RedisServer, pattern: &str) -> u64 {
    let mut connection = redis.connection().await;
    let keys: Vec<String> = cmd("KEYS")
        .arg(pattern)
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut sum = 0;
    for key in keys {
        let mut usage = cmd("MEMORY");
        usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        sum += usage.query_async::<u64>(&mut connection).await.unwrap();
    }
    sum
}

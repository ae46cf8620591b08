//! The sink between a real client and a real Redis.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use opentelemetry_proto::tonic::{
    collector::logs::v1::{ExportLogsServiceRequest, logs_service_client::LogsServiceClient},
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
};
use redis::cmd;
use redis_sink::{
    args::Args, metrics::Metrics, quota::Quota, run::serve_otlp, service::Sink, store::Store,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, transport::Channel};

const PASSWORD: &str = "a-password-of-this-test";

/// A redis-server of its own; it goes with this value.
struct Redis {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Redis {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        let child = server(port, folder.path());
        Self {
            child,
            port,
            folder,
        }
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = server(self.port, self.folder.path());
    }

    async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let url = format!("redis://:{PASSWORD}@127.0.0.1:{}/", self.port);
        let client = redis::Client::open(url).unwrap();
        for _ in 0..100 {
            if let Ok(connection) = client.get_multiplexed_async_connection().await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("redis-server on port {} does not answer", self.port);
    }

    fn arguments(&self) -> Args {
        let address = format!("127.0.0.1:{}", self.port);
        let folder = self.folder.path().to_str().unwrap();
        Args::parse_from([
            "redis-sink",
            "--redis-address",
            &address,
            "--redis-credentials",
            folder,
        ])
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn server(port: u16, folder: &std::path::Path) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args([
            "--requirepass",
            PASSWORD,
            "--appendonly",
            "yes",
            "--save",
            "",
        ])
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn sink(redis: &Redis) -> LogsServiceClient<Channel> {
    let args = redis.arguments();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sink = Sink::new(
        Arc::new(Store::new(&args)),
        Arc::new(Metrics::default()),
        Quota::new(args.streams_per_cluster),
    );
    tokio::spawn(serve_otlp(listener, sink, CancellationToken::new()));
    LogsServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap()
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Any::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn request(source: &str, bodies: &[String]) -> ExportLogsServiceRequest {
    let log_records = bodies
        .iter()
        .map(|body| LogRecord {
            time_unix_nano: 1,
            body: text("", body).value,
            attributes: vec![text("analyzer", "images"), text("part", "0")],
            ..LogRecord::default()
        })
        .collect();
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes: vec![text("cluster_name", "west"), text("source", source)],
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

async fn length(redis: &Redis, key: &str) -> u64 {
    let mut connection = redis.connection().await;
    cmd("XLEN")
        .arg(key)
        .query_async(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn of_an_analyzer_only_the_last_two_records_stay_and_they_expire() {
    let redis = Redis::start();
    let mut connection = redis.connection().await;
    let mut client = sink(&redis).await;
    let bodies = ["first", "second", "third"].map(str::to_owned);
    client.export(request("analyzer", &bodies)).await.unwrap();
    let key = "gloonet:v1:logs:west:analyzer:images:0";
    let entries: Vec<(String, Vec<String>)> = cmd("XRANGE")
        .arg(key)
        .arg("-")
        .arg("+")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries[0].1[1].contains("second"), "{entries:?}");
    assert!(entries[1].1[1].contains("third"), "{entries:?}");
    let seconds: i64 = cmd("TTL")
        .arg(key)
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!((1790..=1800).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_batch_that_is_sent_twice_is_stored_once() {
    let redis = Redis::start();
    redis.connection().await;
    let mut client = sink(&redis).await;
    let bodies: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
    for _ in 0..3 {
        client.export(request("ui", &bodies)).await.unwrap();
    }
    assert_eq!(length(&redis, "gloonet:v1:logs:west:ui:::").await, 100);
}

#[tokio::test]
async fn while_redis_is_away_batches_are_sent_back_and_afterwards_nothing_is_missing() {
    let mut redis = Redis::start();
    redis.connection().await;
    let mut client = sink(&redis).await;
    let batch = |n: u32| request("ui", &[format!("line {n}")]);
    client.export(batch(0)).await.unwrap();
    redis.stop();
    let refused = client.export(batch(1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    redis.start_again();
    redis.connection().await;
    for n in 1..5 {
        client.export(batch(n)).await.unwrap();
    }
    assert_eq!(length(&redis, "gloonet:v1:logs:west:ui:::").await, 5);
}

#[tokio::test]
async fn a_wrong_password_sends_batches_back_and_is_not_told_to_anybody() {
    let redis = Redis::start();
    redis.connection().await;
    std::fs::write(redis.folder.path().join("password"), "wrong-secret").unwrap();
    let refused = sink(&redis)
        .await
        .export(request("analyzer", &["x".to_owned()]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(!refused.message().contains("wrong-secret"), "{refused}");
}

#[tokio::test]
async fn what_is_refused_is_counted_to_the_sender_and_the_rest_is_stored() {
    let redis = Redis::start();
    redis.connection().await;
    let mut both = request("analyzer", &["good".to_owned()]);
    both.resource_logs
        .extend(request("", &["without source".to_owned()]).resource_logs);
    let answer = sink(&redis).await.export(both).await.unwrap().into_inner();
    let partial = answer.partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 1);
    assert!(partial.error_message.contains("source"), "{partial:?}");
    assert_eq!(
        length(&redis, "gloonet:v1:logs:west:analyzer:images:0").await,
        1
    );
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_refused_and_the_next_one_served() {
    let redis = Redis::start();
    redis.connection().await;
    let mut client = sink(&redis).await;
    let huge = request("ui", &["x".repeat(9 * 1024 * 1024)]);
    let refused = client.export(huge).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    client
        .export(request("ui", &["small".to_owned()]))
        .await
        .unwrap();
}

//! A Redis and a sink before it, and what is sent to it.

use std::{net::SocketAddr, sync::Arc};

use clap::Parser;
use opentelemetry_proto::tonic::{
    collector::logs::v1::{ExportLogsServiceRequest, logs_service_client::LogsServiceClient},
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
};
use redis::cmd;
use redis_access::testing::RedisServer;
use redis_sink::{
    args::Args, metrics::Metrics, quota::Quota, run::serve_otlp, service::Sink, store::Store,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// A Redis as the platform runs one.
pub(crate) async fn redis() -> RedisServer {
    let arguments = ["--appendonly", "yes"];
    let redis = RedisServer::with_password("a-password-of-this-test", &arguments);
    redis.connection().await;
    redis
}

/// That, and a sink before it.
pub(crate) async fn redis_and_sink() -> (RedisServer, Served) {
    let redis = redis().await;
    let served = Served::start(&redis).await;
    (redis, served)
}

fn arguments(redis: &RedisServer) -> Args {
    let folder = redis.credentials().to_str().unwrap();
    Args::parse_from([
        "redis-sink",
        "--redis-address",
        &redis.address(),
        "--redis-credentials",
        folder,
    ])
}

/// A sink that serves, and what it counts.
pub(crate) struct Served {
    address: SocketAddr,
    pub(crate) metrics: Arc<Metrics>,
}

impl Served {
    pub(crate) async fn start(redis: &RedisServer) -> Self {
        Self::of(arguments(redis)).await
    }

    /// With so many bytes for each cluster.
    pub(crate) async fn with_room(redis: &RedisServer, bytes: u64) -> Self {
        let mut args = arguments(redis);
        args.bytes_per_cluster = bytes;
        Self::of(args).await
    }

    async fn of(args: Args) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Arc::new(Metrics::default());
        let sink = Sink::new(
            Arc::new(Store::new(&args)),
            metrics.clone(),
            Quota::new(args.limits()),
        );
        tokio::spawn(serve_otlp(listener, sink, CancellationToken::new()));
        Self { address, metrics }
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// A client with a connection of its own.
    pub(crate) async fn client(&self) -> LogsServiceClient<Channel> {
        LogsServiceClient::new(self.channel().await)
    }

    /// The sum of all series of this name whose labels have `part`.
    pub(crate) fn counted(&self, name: &str, part: &str) -> u64 {
        let text = self.metrics.text().unwrap();
        let series = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        let wanted = series.filter(|(labels, _)| labels.starts_with('{') && labels.contains(part));
        wanted.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
    }
}

pub(crate) async fn sink(redis: &RedisServer) -> LogsServiceClient<Channel> {
    Served::start(redis).await.client().await
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Any::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

pub(crate) fn request(source: &str, bodies: &[String]) -> ExportLogsServiceRequest {
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

pub(crate) async fn length(redis: &RedisServer, key: &str) -> u64 {
    let mut connection = redis.connection().await;
    cmd("XLEN")
        .arg(key)
        .query_async(&mut connection)
        .await
        .unwrap()
}

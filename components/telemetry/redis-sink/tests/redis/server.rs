//! A Redis and a sink before it, and what is sent to it.

use std::{
    net::SocketAddr,
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
use tonic::transport::Channel;

const PASSWORD: &str = "a-password-of-this-test";

/// A redis-server of its own; it goes with this value.
pub(crate) struct Redis {
    child: Child,
    port: u16,
    pub(crate) folder: tempfile::TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
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

    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP and SIGCONT: it is there, takes connections, and says nothing.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn start_again(&mut self) {
        self.child = server(self.port, self.folder.path());
    }

    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
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

/// A sink that serves, and what it counts.
pub(crate) struct Served {
    address: SocketAddr,
    pub(crate) metrics: Arc<Metrics>,
}

impl Served {
    pub(crate) async fn start(redis: &Redis) -> Self {
        let args = redis.arguments();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Arc::new(Metrics::default());
        let sink = Sink::new(
            Arc::new(Store::new(&args)),
            metrics.clone(),
            Quota::new(args.streams_per_cluster),
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

pub(crate) async fn sink(redis: &Redis) -> LogsServiceClient<Channel> {
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

pub(crate) async fn length(redis: &Redis, key: &str) -> u64 {
    let mut connection = redis.connection().await;
    cmd("XLEN")
        .arg(key)
        .query_async(&mut connection)
        .await
        .unwrap()
}

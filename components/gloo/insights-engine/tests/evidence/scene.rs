//! A Redis of a test's own, and an engine over it.

use std::{sync::Arc, time::Duration};

use gloo_insights::{Overview, Settings};
use gloo_mesh_insights::{
    engine::Engine,
    metrics::{self, Metrics},
    prometheus::Prometheus,
    shared::Shared,
    snapshots::Snapshots,
};
use gloo_record::Analyzer;
use gloo_store::{RedisArgs, Seal, Store};
use redis::{aio::MultiplexedConnection, cmd};
use redis_access::testing::RedisServer;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

/// A redis-server with what analyzers say.
pub(crate) struct Redis(RedisServer);

impl Redis {
    pub(crate) async fn start() -> Self {
        let redis = Self(RedisServer::start(&[]));
        redis.connection().await;
        redis
    }

    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        self.0.connection().await
    }

    pub(crate) async fn set(&self, name: &str, value: &str) {
        let mut set = cmd("CONFIG");
        set.arg("SET").arg(name).arg(value);
        set.exec_async(&mut self.connection().await).await.unwrap();
    }

    /// Writes until it takes no more.
    pub(crate) async fn fill(&self) {
        let mut connection = self.connection().await;
        for n in 0..1000 {
            let mut set = cmd("SET");
            set.arg(n).arg("x".repeat(10_000));
            if set.exec_async(&mut connection).await.is_err() {
                return;
            }
        }
        panic!("it takes everything");
    }

    /// The last entry of an analyzer's stream, as redis-sink writes it.
    pub(crate) async fn add(&self, cluster: &str, analyzer: Analyzer, entry: &str) {
        let key = format!("gloonet:v1:logs:{cluster}:analyzer:{analyzer}:0");
        let mut add = cmd("XADD");
        add.arg(key)
            .arg("MAXLEN")
            .arg(1)
            .arg("*")
            .arg("r")
            .arg(entry);
        add.exec_async(&mut self.connection().await).await.unwrap();
    }
}

/// What an engine is given, and what it counts.
pub(crate) struct Scene {
    redis: String,
    prometheus: String,
    clusters: Vec<String>,
    metrics: Arc<Metrics>,
}

impl Scene {
    pub(crate) fn new(redis: &Redis, prometheus: &str, clusters: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            redis: redis.0.url(),
            prometheus: prometheus.to_owned(),
            clusters: clusters.iter().map(|&name| name.to_owned()).collect(),
            metrics: Arc::default(),
        }
    }

    /// The page of the first run of a new engine, whose home is `west`.
    pub(crate) async fn run(&self) -> Overview {
        let shared = self.published().await;
        let (page, _) = shared.page().unwrap();
        Overview::clone(&page)
    }

    /// What the first run of a new engine leaves.
    pub(crate) async fn published(&self) -> Arc<Shared> {
        let args = RedisArgs {
            redis_url: self.redis.clone(),
            redis_credentials: None,
            redis_ca: None,
        };
        let names = self.clusters.iter().map(|name| name.parse().unwrap());
        let shared = Arc::new(Shared::default());
        let engine = Engine {
            home: "west".parse().unwrap(),
            interval: Duration::from_hours(1),
            redis: gloo_store::Redis::new(&args),
            snapshots: Some(Snapshots::new(Store::new(
                gloo_store::Redis::new(&args),
                Seal::new(&[9; 32]).unwrap(),
            ))),
            prometheus: Some(Prometheus::new(&self.prometheus).unwrap()),
            clusters: watch::channel(Some(Arc::new(names.collect()))).1,
            settings: watch::channel(Settings::default()).1,
            shared: shared.clone(),
            metrics: self.metrics.clone(),
        };
        let closing = CancellationToken::new();
        let running = tokio::spawn(engine.run(closing.clone()));
        while shared.page().is_none() {
            sleep(Duration::from_millis(10)).await;
        }
        closing.cancel();
        running.await.unwrap();
        shared
    }

    /// What is counted of this kind.
    pub(crate) fn errors(&self, kind: &str) -> u64 {
        let text = metrics::text(&self.metrics, &Shared::default()).unwrap();
        let name = format!("gloo_mesh_insights_engine_errors_total{{kind=\"{kind}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap().parse().unwrap()
    }
}

//! Wires the parts and runs until it is told to stop.

use std::{sync::Arc, time::Duration};

use gloonet_daemon::{
    error::chain,
    listener::{self, ListenError},
    signals,
};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::LogsServiceServer;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code,
    body::Body,
    codec::CompressionEncoding,
    codegen::http::{HeaderValue, Response},
    transport::Server,
};
use tower::util::MapResponseLayer;
use tracing_subscriber::EnvFilter;

use crate::{args::Args, metrics::Metrics, quota::Quota, serve, service::Sink, store::Store};

/// Largest request after decompression, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;
/// How often Redis is asked whether it is there, when no batch says so.
const PING: Duration = Duration::from_secs(10);
/// How long batches under way may take after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// Why the program cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot serve")]
    Listen(#[from] ListenError),
    #[error("cannot listen for signals")]
    Signal(#[source] std::io::Error),
    #[error("OTLP is served no longer")]
    Otlp(#[source] tonic::transport::Error),
}

/// Logs as JSON lines, as the collector beside it does.
pub fn log(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .init();
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(args: Args) -> Result<(), RunError> {
    // Several rustls providers may be linked in; the first to be installed wins, and either serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = CancellationToken::new();
    signals::cancel_on_signal(&stop).map_err(RunError::Signal)?;
    let metrics = Arc::new(Metrics::default());
    let store = Arc::new(Store::new(&args));
    let otlp = listener::bind(args.otlp_address, "OTLP").await?;
    let pages = listener::bind(args.metrics_address, "metrics").await?;
    let routes = serve::routes(Arc::clone(&metrics));
    listener::serve(pages, routes, stop.clone());
    tokio::spawn(ask(Arc::clone(&store), Arc::clone(&metrics), stop.clone()));
    tracing::info!(
        otlp = %args.otlp_address,
        redis = args.redis_address,
        version = env!("CARGO_PKG_VERSION"),
        "redis-sink serves"
    );
    let sink = Sink::new(store, metrics, Quota::new(args.limits()));
    serve_otlp(otlp, sink, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Serves until `stop`, and then no longer than the grace for what is under way.
pub async fn serve_otlp(
    listener: TcpListener,
    sink: Sink,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let service = LogsServiceServer::new(sink)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(LARGEST);
    let served = Server::builder()
        .concurrency_limit_per_connection(64)
        .layer(MapResponseLayer::new(refused_for_good))
        .add_service(service)
        .serve_with_incoming_shutdown(
            TcpListenerStream::new(listener),
            stop.clone().cancelled_owned(),
        );
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = served => ended.map_err(RunError::Otlp),
        () = late => Ok(()),
    }
}

/// What is too large stays too large. The library says `OUT_OF_RANGE`, which OTLP's senders send again without an end, and
/// behind it nothing would get through; `RESOURCE_EXHAUSTED` they give up and count.
fn refused_for_good(mut response: Response<Body>) -> Response<Body> {
    let code = |code: Code| HeaderValue::from(i32::from(code));
    if let Some(status) = response.headers_mut().get_mut("grpc-status")
        && *status == code(Code::OutOfRange)
    {
        *status = code(Code::ResourceExhausted);
    }
    response
}

/// Keeps the metric true while no batch comes.
async fn ask(store: Arc<Store>, metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut said = true;
    loop {
        match store.ping().await {
            Ok(()) => {
                metrics.answered();
                if !said {
                    tracing::info!("Redis answers again");
                }
                said = true;
            }
            Err(error) => {
                metrics.silent("ping");
                store.reset().await;
                if said {
                    tracing::warn!(error = chain(&error), "Redis does not answer");
                }
                said = false;
            }
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(PING))
            .await
            .is_none()
        {
            return;
        }
    }
}

//! The two listeners: metrics for Prometheus, health for the kubelet.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use axum::{Router, http::StatusCode, routing::get};
use gloonet_daemon::{
    exposition,
    listener::{self, ListenError},
};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// A loop that has not turned for this long hangs.
const HANGS_AFTER_SECONDS: i64 = 120;

/// What the kubelet is told.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// The API server has answered at least once.
    ready: AtomicBool,
    /// When the loop last turned, in seconds since 1970; 0 while there is no loop (a replica that stands by).
    turned: AtomicI64,
}

impl Pulse {
    pub(crate) fn is_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    pub(crate) fn turn(&self) {
        self.turned
            .store(Timestamp::now().as_second(), Ordering::Relaxed);
    }

    fn hangs(&self) -> bool {
        let turned = self.turned.load(Ordering::Relaxed);
        turned != 0 && Timestamp::now().as_second() - turned > HANGS_AFTER_SECONDS
    }
}

/// Serves until `stop`.
pub(crate) async fn metrics(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), ListenError> {
    let bound = listener::bind(address, "metrics").await?;
    listener::serve(bound, exposition::routes(move || Ok(metrics.text())), stop);
    Ok(())
}

/// Serves until `stop`.
pub(crate) async fn health(
    address: SocketAddr,
    pulse: Arc<Pulse>,
    stop: CancellationToken,
) -> Result<(), ListenError> {
    let alive = Arc::clone(&pulse);
    let router = Router::new()
        .route(
            "/healthz",
            get(async move || answer(!alive.hangs(), "the loop hangs")),
        )
        .route(
            "/readyz",
            get(async move || {
                answer(
                    pulse.ready.load(Ordering::Relaxed),
                    "the API server has not answered yet",
                )
            }),
        );
    let bound = listener::bind(address, "health").await?;
    listener::serve(bound, router, stop);
    Ok(())
}

fn answer(good: bool, why: &'static str) -> (StatusCode, &'static str) {
    if good {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, why)
    }
}

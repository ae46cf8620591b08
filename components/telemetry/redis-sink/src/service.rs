//! OTLP's LogsService (opentelemetry/proto/collector/logs/v1/logs_service.proto).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
    logs_service_server::LogsService,
};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::{
    batch::{self, Batch, Entry, Refusal},
    metrics::Metrics,
    quota::Quota,
    room::Full,
    store::{Store, StoreError, Written},
};

/// Batches under way at once. More wait, and what waits too long is sent back: that is how the collector learns to slow down.
const AT_ONCE: usize = 16;
/// How long a batch may take with everything that is tried for it. The collector in front gives up after five seconds; what it
/// does not wait for could not be counted.
const LONGEST: Duration = Duration::from_secs(4);
/// How much of that it may wait for its turn. A Redis that answers at all needs less than the rest.
const TURN: Duration = Duration::from_secs(2);
const _: () = assert!(LONGEST.as_secs() < 5 && TURN.as_secs() < LONGEST.as_secs());
/// Reasons given back of one batch; the rest is a number.
const REASONS: usize = 3;

/// Takes batches and answers when Redis has them.
#[derive(Debug)]
pub struct Sink {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    quota: Mutex<Quota>,
    turns: Semaphore,
    started: Instant,
}

impl Sink {
    pub fn new(store: Arc<Store>, metrics: Arc<Metrics>, quota: Quota) -> Self {
        Self {
            store,
            metrics,
            quota: Mutex::new(quota),
            turns: Semaphore::new(AT_ONCE),
            started: Instant::now(),
        }
    }

    fn sort(&self, request: &ExportLogsServiceRequest) -> Batch {
        let mut quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = batch::sort(request, &mut quota, self.started.elapsed().as_secs());
        self.metrics.streams(quota.streams());
        for cluster in &batch.gone {
            self.metrics.gone(cluster);
        }
        for refusal in &batch.refused {
            // Of clusters that are too many there would be too many series.
            if let Refusal::Quota { cluster, source } = refusal
                && !matches!(source, Full::Clusters { .. })
            {
                self.metrics.full(cluster);
            }
        }
        batch
    }

    /// What is told the quota of these entries when they are in Redis, or nobody waits for it any longer.
    fn underway<'a>(&'a self, entries: &'a [Entry]) -> Underway<'a> {
        Underway {
            sink: self,
            entries,
            written: Written::default(),
        }
    }

    async fn write(&self, batch: &Batch, within: Duration) -> Result<Written, StoreError> {
        // Redis is not asked, so nothing is learnt about it.
        if batch.entries.is_empty() {
            return Ok(Written::default());
        }
        let started = Instant::now();
        let written = self.store.write(&batch.entries, within).await;
        match &written {
            Ok(_) => self.metrics.took(started.elapsed().as_secs_f64()),
            Err(error) => {
                self.metrics.failed(error.kind());
                self.store.reset().await;
            }
        }
        written
    }
}

/// Entries between the quota and Redis. A sender that goes away ends this, too.
struct Underway<'a> {
    sink: &'a Sink,
    entries: &'a [Entry],
    /// Empty: none of them is stored, as far as is known.
    written: Written,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let quota = self.sink.quota.lock();
        let mut quota = quota.unwrap_or_else(PoisonError::into_inner);
        let stored = self
            .written
            .0
            .iter()
            .copied()
            .chain(std::iter::repeat(false));
        for (entry, stored) in self.entries.iter().zip(stored) {
            quota.settle(entry, stored);
        }
        for (cluster, bytes) in quota.bytes() {
            self.sink.metrics.bytes(cluster, bytes);
        }
    }
}

#[tonic::async_trait]
impl LogsService for Sink {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let came = Instant::now();
        // UNAVAILABLE is what OTLP's senders keep and send again.
        let turn = tokio::time::timeout(TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            self.metrics.failed("turn");
            return Err(Status::unavailable(
                "too many batches are waiting for Redis; send this one again later",
            ));
        };
        let batch = self.sort(request.get_ref());
        let left = LONGEST.saturating_sub(came.elapsed());
        let mut underway = self.underway(&batch.entries);
        let written = self.write(&batch, left).await.map_err(|error| {
            let cause = gloonet_daemon::error::chain(&error);
            tracing::warn!(
                records = batch.entries.len(),
                error = cause,
                "batch sent back"
            );
            Status::unavailable(cause)
        })?;
        self.metrics.counted("stored", written.stored());
        self.metrics.counted("known", written.known());
        underway.written = written;
        self.metrics.counted("refused", batch.refused.len());
        Ok(Response::new(ExportLogsServiceResponse {
            partial_success: refused(&batch),
        }))
    }
}

fn refused(batch: &Batch) -> Option<ExportLogsPartialSuccess> {
    if batch.refused.is_empty() {
        return None;
    }
    let mut reasons: Vec<String> = Vec::new();
    for refusal in &batch.refused {
        let reason = gloonet_daemon::error::chain(refusal);
        if reasons.len() < REASONS && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let error_message = reasons.join("; ");
    tracing::warn!(
        records = batch.refused.len(),
        reasons = error_message,
        "records refused"
    );
    Some(ExportLogsPartialSuccess {
        rejected_log_records: i64::try_from(batch.refused.len()).unwrap_or(i64::MAX),
        error_message,
    })
}

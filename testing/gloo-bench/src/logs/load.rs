//! Records with numbers, pushed into the collector by OTLP over mutual TLS, as the analyzer does.

use std::time::Duration;

use anyhow::{Context, Result};
use opentelemetry_proto::tonic::{
    collector::logs::v1::{ExportLogsServiceRequest, logs_service_client::LogsServiceClient},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
};
use tokio::time::{Instant, sleep, sleep_until};
use tonic::transport::Channel;

use super::stage::{STREAMS, Stage, stream};

/// Records of one request.
pub(super) const BATCH: u64 = 200;
/// Requests under way at once.
const AT_ONCE: u64 = 8;
const FILLER: usize = 200;

/// What is pushed, and to whom.
#[derive(Debug, Clone)]
pub(super) struct Load {
    channel: Channel,
    records: u64,
}

impl Load {
    pub(super) fn of(stage: &Stage, records: u64) -> Self {
        Self {
            channel: stage.channel(),
            records,
        }
    }

    /// As fast as the collector takes them.
    pub(super) async fn push(&self) -> Result<()> {
        let mut pushing = tokio::task::JoinSet::new();
        for first in 0..AT_ONCE {
            let load = self.clone();
            pushing.spawn(async move {
                let mut at = first * BATCH;
                while at < load.records {
                    load.send(at).await?;
                    at += AT_ONCE * BATCH;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = pushing.join_next().await {
            done??;
        }
        Ok(())
    }

    /// So many in a second.
    pub(super) async fn push_at(&self, rate: u64) -> Result<()> {
        let started = Instant::now();
        let mut at = 0;
        while at < self.records {
            sleep_until(started + Duration::from_millis(at * 1000 / rate)).await;
            self.send(at).await?;
            at += BATCH;
        }
        Ok(())
    }

    /// One request, again until it is taken: a collector without room says so, and the record is not lost.
    async fn send(&self, first: u64) -> Result<()> {
        let last = (first + BATCH).min(self.records);
        let request = request(first..last);
        loop {
            let sent = LogsServiceClient::new(self.channel.clone())
                .export(request.clone())
                .await;
            match sent {
                Ok(_) => return Ok(()),
                Err(status) if status.code() == tonic::Code::Unavailable => {
                    sleep(Duration::from_millis(50)).await;
                }
                Err(status) => return Err(status).context("the collector refuses a request"),
            }
        }
    }
}

/// Every number has its stream; a request is about all of them.
pub(super) fn request(numbers: std::ops::Range<u64>) -> ExportLogsServiceRequest {
    let mut resource_logs = Vec::new();
    for at in 0..STREAMS {
        let mine = numbers.clone().filter(|number| number % STREAMS == at);
        resource_logs.push(ResourceLogs {
            resource: Some(Resource {
                attributes: vec![text("source", "ui"), text("component", &stream(at))],
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                log_records: mine.map(record).collect(),
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        });
    }
    ExportLogsServiceRequest { resource_logs }
}

fn record(number: u64) -> LogRecord {
    LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000 + number,
        severity_text: "INFO".to_owned(),
        body: text("body", &format!("{number} {}", "x".repeat(FILLER))).value,
        ..LogRecord::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

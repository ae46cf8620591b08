//! Reports as OTLP log records, to the cluster's collector.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use gloo_record::{LARGEST_PART, Outcome, Part, Report, parts};
use opentelemetry::{
    InstrumentationScope, KeyValue,
    logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity},
};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter as OtlpExporter, WithExportConfig, WithTonicConfig,
    tonic_types::transport::{Certificate, ClientTlsConfig, Identity},
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider},
};

use crate::args::Args;

/// How long the collector may take for one batch.
const ANSWER: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;
/// Parts of one request: a collector takes 1 MiB at once.
const TOGETHER: usize = 8;
const _: () = assert!(TOGETHER * (LARGEST_PART + 8192) < 1 << 20);

/// Why a report did not leave.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    #[error("cannot read {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("no exporter can be made for {address}")]
    Build {
        address: String,
        source: ExporterBuildError,
    },
    #[error("the report is not JSON")]
    Text { source: serde_json::Error },
    #[error("the collector at {address} did not take the report")]
    Send {
        address: String,
        source: OTelSdkError,
    },
}

/// Where reports go.
#[derive(Debug)]
pub struct Emitter {
    address: String,
    server_name: String,
    tls: PathBuf,
    resource: Resource,
    logger: SdkLogger,
    /// Holds what the logger was given until it is sent.
    waiting: Arc<Waiting>,
    _provider: SdkLoggerProvider,
    held: tokio::sync::Mutex<Option<OtlpExporter>>,
}

#[derive(Debug, Default)]
struct Waiting(Mutex<Vec<(SdkLogRecord, InstrumentationScope)>>);

impl Waiting {
    fn take(&self) -> Vec<(SdkLogRecord, InstrumentationScope)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The SDK's place for what becomes of a record: here it waits for [`Emitter::send`], which says whether it was taken.
#[derive(Debug)]
struct Keep(Arc<Waiting>);

impl LogProcessor for Keep {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        let mut waiting = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push((record.clone(), scope.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
}

impl Emitter {
    pub fn new(args: &Args) -> Self {
        let resource = Resource::builder_empty()
            .with_attributes([
                // The gateway sets it from who sends; here it is for the eyes of whoever looks in between.
                KeyValue::new("cluster_name", args.cluster_name.to_string()),
                KeyValue::new("source", "analyzer"),
                KeyValue::new("service.name", "gloo-mesh-analyzer"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        let waiting = Arc::new(Waiting::default());
        let provider = SdkLoggerProvider::builder()
            .with_resource(resource.clone())
            .with_log_processor(Keep(waiting.clone()))
            .build();
        Self {
            address: args.otlp_address.clone(),
            server_name: args.otlp_server_name.clone(),
            tls: args.otlp_tls.clone(),
            resource,
            logger: provider.logger("gloo-mesh-analyzer"),
            waiting,
            _provider: provider,
            held: tokio::sync::Mutex::new(None),
        }
    }

    /// Sends a report, and again when it is not taken: with a new connection, and the certificate of then.
    pub async fn send(&self, report: &Report) -> Result<(), EmitError> {
        let texts = parts(report).map_err(|source| EmitError::Text { source })?;
        // One report at a time: what waits in between is one report's.
        let mut held = self.held.lock().await;
        self.waiting.take();
        for part in texts {
            self.log(report, part);
        }
        let records = self.waiting.take();
        let mut tries = 1;
        loop {
            let sent = self.once(&mut held, &records).await;
            match sent {
                Ok(()) => return Ok(()),
                Err(error) if tries >= TRIES => return Err(error),
                Err(_) => *held = None,
            }
            let jitter = 0.5 + rand::random::<f64>();
            tokio::time::sleep(Duration::from_secs(1).mul_f64(f64::from(tries) * jitter)).await;
            tries += 1;
        }
    }

    fn log(&self, report: &Report, part: Part) {
        let mut record = self.logger.create_log_record();
        record.set_timestamp(SystemTime::from(report.taken));
        let (number, text) = match report.outcome {
            Outcome::Found(_) => (Severity::Info, "INFO"),
            Outcome::Failed(_) => (Severity::Error, "ERROR"),
        };
        record.set_severity_number(number);
        record.set_severity_text(text);
        record.add_attribute("analyzer", report.analyzer.as_str());
        record.add_attribute("run", part.run);
        record.add_attribute("part", part.part.to_string());
        record.add_attribute("parts", part.parts.to_string());
        record.set_body(AnyValue::from(part.text));
        self.logger.emit(record);
    }

    async fn once(
        &self,
        held: &mut Option<OtlpExporter>,
        records: &[(SdkLogRecord, InstrumentationScope)],
    ) -> Result<(), EmitError> {
        let exporter = match held {
            Some(exporter) => exporter,
            None => held.insert(self.exporter()?),
        };
        let sent = export(exporter, records).await;
        sent.map_err(|source| EmitError::Send {
            address: self.address.clone(),
            source,
        })
    }

    fn exporter(&self) -> Result<OtlpExporter, EmitError> {
        let file = |name: &str| read(&self.tls.join(name));
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(file("ca.crt")?))
            .identity(Identity::from_pem(file("tls.crt")?, file("tls.key")?))
            .domain_name(self.server_name.clone());
        let built = OtlpExporter::builder()
            .with_tonic()
            .with_endpoint(format!("https://{}", self.address))
            .with_timeout(ANSWER)
            .with_tls_config(tls)
            .build();
        let mut exporter = built.map_err(|source| EmitError::Build {
            address: self.address.clone(),
            source,
        })?;
        exporter.set_resource(&self.resource);
        Ok(exporter)
    }
}

/// Request by request. Once more from the start is right after an error: what is stored already is known by who stores it.
async fn export(
    exporter: &impl LogExporter,
    records: &[(SdkLogRecord, InstrumentationScope)],
) -> OTelSdkResult {
    for request in records.chunks(TOGETHER) {
        let pairs: Vec<_> = request
            .iter()
            .map(|(record, scope)| (record, scope))
            .collect();
        exporter.export(LogBatch::new(&pairs)).await?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, EmitError> {
    fs::read(path).map_err(|source| EmitError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the records of each request.
    #[derive(Debug, Default)]
    struct Counts(Mutex<Vec<usize>>);

    impl LogExporter for Counts {
        async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
            self.0.lock().unwrap().push(batch.iter().count());
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_long_report_leaves_in_requests_that_a_collector_takes() {
        let waiting = Arc::new(Waiting::default());
        let provider = SdkLoggerProvider::builder()
            .with_log_processor(Keep(waiting.clone()))
            .build();
        let logger = provider.logger("test");
        for _ in 0..19 {
            logger.emit(logger.create_log_record());
        }
        let counts = Counts::default();
        export(&counts, &waiting.take()).await.unwrap();
        assert_eq!(*counts.0.lock().unwrap(), [8, 8, 3]);
    }
}

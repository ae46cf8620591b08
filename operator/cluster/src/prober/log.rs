//! One log record by OTLP/gRPC over mutual TLS, as a collector sends it.

use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::{
    collector::logs::v1::{ExportLogsServiceRequest, logs_service_client::LogsServiceClient},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::ProbeError;

const CONNECT: Duration = Duration::from_secs(2);

/// Who asks, and whom it believes. PEM.
pub(super) struct Identity<'a> {
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) authority: String,
    pub(super) server_name: &'a str,
}

/// Sends a record with a token that nobody else has, and returns the token. `pod` tells the streams of several gateways apart.
pub(super) async fn send(
    address: &str,
    identity: &Identity<'_>,
    cluster: &str,
    pod: &str,
) -> Result<String, ProbeError> {
    let token = format!("{:032x}", rand::random::<u128>());
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&identity.authority))
        .identity(tonic::transport::Identity::from_pem(
            &identity.certificate,
            &identity.key,
        ))
        .domain_name(identity.server_name);
    let wrong = |error: tonic::transport::Error| ProbeError::Connect(innermost(&error));
    let channel = Endpoint::from_shared(format!("https://{address}"))
        .map_err(wrong)?
        .connect_timeout(CONNECT)
        .tls_config(tls)
        .map_err(wrong)?
        .connect()
        .await
        .map_err(wrong)?;
    let sent = LogsServiceClient::new(channel)
        .export(request(cluster, pod, &token))
        .await;
    sent.map_err(|status| {
        ProbeError::Log(format!(
            "the gateway did not take a log record: {}",
            status.message()
        ))
    })?;
    Ok(token)
}

fn request(cluster: &str, pod: &str, token: &str) -> ExportLogsServiceRequest {
    let now = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default();
    let record = LogRecord {
        time_unix_nano: now,
        observed_time_unix_nano: now,
        severity_text: "INFO".to_owned(),
        body: text("body", token).value,
        attributes: vec![text("analyzer", pod)],
        ..LogRecord::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes: vec![text("cluster_name", cluster), text("source", "probe")],
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                log_records: vec![record],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
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

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

//! An export request as entries of streams, and what of it is refused.

use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest, common::v1::KeyValue, logs::v1::LogRecord,
};
use sha2::{Digest, Sha256};

use crate::{
    key::{KeyError, StreamKey},
    quota::Quota,
    record::{self, RecordError},
    retention::{CLUSTER, Retention, SOURCE},
    room::{Admitted, Full},
};

/// One record on its way into a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub cluster: String,
    pub key: StreamKey,
    pub retention: Retention,
    /// The same for the same record in the same stream: what a sender repeats is known by it.
    pub id: String,
    /// JSON.
    pub text: String,
    pub admitted: Admitted,
}

/// Why a record is not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no stream can be named")]
    Key(#[from] KeyError),
    #[error("it cannot be written")]
    Record(#[from] RecordError),
    #[error("cluster {cluster}")]
    Quota { cluster: String, source: Full },
}

/// What a request comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub entries: Vec<Entry>,
    pub refused: Vec<Refusal>,
    /// Clusters of which Redis keeps nothing any longer.
    pub gone: Vec<String>,
}

/// Sorts a request out. One bad record costs its neighbours nothing. `now` is in seconds of any clock that only goes on.
pub fn sort(request: &ExportLogsServiceRequest, quota: &mut Quota, now: u64) -> Batch {
    let mut batch = Batch {
        gone: quota.forget(now),
        ..Batch::default()
    };
    for group in &request.resource_logs {
        let resource: &[KeyValue] = group
            .resource
            .as_ref()
            .map_or(&[], |resource| &resource.attributes);
        for record in group.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            match one(record, resource, quota, now) {
                Ok(entry) => batch.entries.push(entry),
                Err(refusal) => batch.refused.push(refusal),
            }
        }
    }
    batch
}

fn one(
    record: &LogRecord,
    resource: &[KeyValue],
    quota: &mut Quota,
    now: u64,
) -> Result<Entry, Refusal> {
    // Only the resource may say whose it is: the gateway sets it there.
    let cluster = record::text(resource, CLUSTER).unwrap_or_default();
    let source = record::text(resource, SOURCE).unwrap_or_default();
    let retention = Retention::of(source);
    let mut parts = vec![(CLUSTER, cluster), (SOURCE, source)];
    for name in retention.parts {
        let value = record::text(&record.attributes, name).or_else(|| record::text(resource, name));
        parts.push((name, value.unwrap_or_default()));
    }
    let key = StreamKey::new(&parts)?;
    let text = record::entry(record, resource)?;
    let admitted = quota
        .admit(cluster, &key, &retention, text.len(), now)
        .map_err(|source| Refusal::Quota {
            cluster: cluster.to_owned(),
            source,
        })?;
    Ok(Entry {
        cluster: cluster.to_owned(),
        id: id(&key, &text),
        key,
        retention,
        text,
        admitted,
    })
}

fn id(key: &StreamKey, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(key.as_str());
    hash.update([0]);
    hash.update(text);
    let whole = format!("{:x}", hash.finalize());
    whole.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{
        logs::v1::{ResourceLogs, ScopeLogs},
        resource::v1::Resource,
    };

    use super::*;
    use crate::fixture::{quota, text};

    fn request(resource: Vec<KeyValue>, records: Vec<LogRecord>) -> ExportLogsServiceRequest {
        ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(Resource {
                    attributes: resource,
                    ..Resource::default()
                }),
                scope_logs: vec![ScopeLogs {
                    log_records: records,
                    ..ScopeLogs::default()
                }],
                ..ResourceLogs::default()
            }],
        }
    }

    fn about(analyzer: &str, at: u64) -> LogRecord {
        LogRecord {
            time_unix_nano: at,
            attributes: vec![text("analyzer", analyzer), text("part", "0")],
            ..LogRecord::default()
        }
    }

    fn analyzer(cluster: &str) -> Vec<KeyValue> {
        vec![text(CLUSTER, cluster), text(SOURCE, "analyzer")]
    }

    #[test]
    fn a_part_of_an_analyzers_report_goes_to_its_own_stream_of_two_entries() {
        let batch = sort(
            &request(analyzer("west"), vec![about("images", 1)]),
            &mut quota(9),
            0,
        );
        let entry = &batch.entries[0];
        assert_eq!(entry.key.as_str(), "gloonet:v1:logs:west:analyzer:images:0");
        assert_eq!(entry.retention.entries, 2);
    }

    #[test]
    fn a_record_cannot_name_another_cluster_than_its_resource() {
        let mut record = about("images", 1);
        record.attributes.push(text(CLUSTER, "east"));
        let batch = sort(&request(analyzer("west"), vec![record]), &mut quota(9), 0);
        assert!(batch.entries[0].key.as_str().contains(":west:"));
    }

    #[test]
    fn one_bad_record_costs_its_neighbours_nothing() {
        let mut bad = about("images", 2);
        bad.attributes = vec![text("analyzer", &"x".repeat(300))];
        let records = vec![about("images", 1), bad, about("nodes", 3)];
        let batch = sort(&request(analyzer("west"), records), &mut quota(9), 0);
        assert_eq!((batch.entries.len(), batch.refused.len()), (2, 1));
    }

    #[test]
    fn records_without_a_cluster_are_refused() {
        let batch = sort(
            &request(vec![text(SOURCE, "analyzer")], vec![about("images", 1)]),
            &mut quota(9),
            0,
        );
        assert_eq!(
            batch.refused,
            [Refusal::Key(KeyError::Missing { attribute: CLUSTER })]
        );
    }

    #[test]
    fn a_flood_of_names_fills_the_quota_of_its_own_cluster_only() {
        let mut quota = quota(10);
        let flood = (0..10_000).map(|n| about(&n.to_string(), 1)).collect();
        let batch = sort(&request(analyzer("west"), flood), &mut quota, 0);
        assert_eq!((batch.entries.len(), batch.refused.len()), (10, 9_990));
        let other = sort(
            &request(analyzer("east"), vec![about("images", 1)]),
            &mut quota,
            0,
        );
        assert_eq!(other.entries.len(), 1);
    }

    #[test]
    fn what_is_sent_again_has_the_same_id_and_what_differs_another() {
        let ids = |at| {
            let records = vec![about("images", at)];
            let batch = sort(&request(analyzer("west"), records), &mut quota(9), 0);
            batch.entries[0].id.clone()
        };
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
    }
}

//! What users add to the configuration of an OpenTelemetry collector.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Parts of your own for a collector's configuration, in the collector's own form.
///
/// A new pod has the collector itself judge them before it serves; until one is accepted, the pods from before go on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtraConfig {
    /// By name, such as `otlp/mine`. Names of the platform's own receivers are refused.
    #[serde(default, skip_serializing_if = "Parts::is_empty")]
    #[schemars(schema_with = "parts")]
    pub receivers: Parts,
    /// By name, such as `filter/mine`.
    #[serde(default, skip_serializing_if = "Parts::is_empty")]
    #[schemars(schema_with = "parts")]
    pub processors: Parts,
    /// By name, such as `prometheusremotewrite/mine`.
    #[serde(default, skip_serializing_if = "Parts::is_empty")]
    #[schemars(schema_with = "parts")]
    pub exporters: Parts,
    /// By name, such as `metrics/mine`. They may name the platform's own receivers and processors too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub pipelines: BTreeMap<String, ExtraPipeline>,
    /// Exporters of `exporters` that the platform's own pipelines feed as well.
    #[serde(default)]
    pub also_export: AlsoExport,
    /// Secret in namespace `gloo-mesh`; its keys become environment variables, for `${env:KEY}`. Read when a pod starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub env_secret: Option<String>,
}

impl ExtraConfig {
    /// Whether nothing is added.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Receivers, processors or exporters by name; what is in each is the collector's.
pub type Parts = BTreeMap<String, Map<String, Value>>;

fn parts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    })
}

/// From where through what to where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct ExtraPipeline {
    /// At least one.
    #[schemars(length(min = 1, max = 16))]
    pub receivers: Vec<String>,
    /// In this order.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub processors: Vec<String>,
    /// At least one.
    #[schemars(length(min = 1, max = 16))]
    pub exporters: Vec<String>,
}

/// Exporters that the platform's own pipelines feed as well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct AlsoExport {
    /// All metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub metrics: Vec<String>,
    /// All log records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub logs: Vec<String>,
}

//! What the operator says about the platform.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What the operator says about the platform.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlooNetworkStatus {
    /// Generation of the specification this status speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Release that every component runs. Changes only when the last one has arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The one sentence to read first.
    #[serde(default)]
    pub message: String,
    /// Available, Progressing, Degraded, Upgradeable, Paused.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// One row per component, in the order they are installed.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub components: Vec<ComponentStatus>,
    /// The specification with every default filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub computed: Option<serde_json::Value>,
    /// What is being done, or would be done next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// Releases that were installed, newest first; at most ten.
    #[serde(default)]
    pub history: Vec<HistoryEntry>,
    /// Images in use.
    #[serde(default)]
    pub images: Vec<ImageStatus>,
    /// ConfigMap that lists every object the operator made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<InventoryReference>,
    /// The last reconcile that changed something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reconcile: Option<LastReconcile>,
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// One component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentStatus {
    /// For example `redis`.
    pub name: String,
    /// Version from the release lock; empty for what has none of its own.
    #[serde(default)]
    pub version: String,
    /// What the operator is asked to do with it.
    pub state: ComponentState,
    /// How it is.
    pub health: ComponentHealth,
    /// Why, naming pods, reasons and counts.
    #[serde(default)]
    pub message: String,
    /// Since when `health` has its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When it last made progress; the progress deadline counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<Time>,
    /// Pods that are ready.
    #[serde(default)]
    pub ready: i32,
    /// Pods that should be.
    #[serde(default)]
    pub desired: i32,
}

/// What the operator is asked to do with a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ComponentState {
    /// Install and keep.
    Managed,
    /// Not installed by us; only measured.
    External,
    /// Being taken away.
    Removing,
    /// Left alone by request.
    Paused,
}

/// How a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ComponentHealth {
    /// Measured and good.
    Healthy,
    /// On its way.
    Progressing,
    /// Waits for another component.
    Waiting,
    /// Broken, or without progress for longer than its deadline.
    Degraded,
    /// Could not be measured.
    Unknown,
}

impl ComponentHealth {
    /// The word as it is written in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Progressing => "Progressing",
            Self::Waiting => "Waiting",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }
}

/// Steps that are left, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanStatus {
    /// SHA-256 of the steps, the first 12 hexadecimal digits.
    pub hash: String,
    /// Each step in one line; at most twenty.
    pub steps: Vec<String>,
    /// Steps not listed.
    #[serde(default)]
    #[schemars(extend("format" = "int32"))]
    pub more: usize,
}

/// One release that was installed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// Release.
    pub version: String,
    /// How far it came.
    pub state: HistoryState,
    /// When the first step ran.
    pub started: Time,
    /// When every component was healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Time>,
}

/// How far a release came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HistoryState {
    /// Not every component was healthy yet.
    Partial,
    /// Every component was healthy.
    Completed,
}

/// One image in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageStatus {
    /// Name in the release lock.
    pub name: String,
    /// Reference the pods were given.
    pub reference: String,
}

/// Where the inventory is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InventoryReference {
    /// Namespace of the ConfigMap.
    pub namespace: String,
    /// Name of the ConfigMap.
    pub name: String,
    /// Objects listed.
    #[schemars(extend("format" = "int32"))]
    pub objects: usize,
}

/// The last reconcile that changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastReconcile {
    /// What set it off.
    pub trigger: String,
    /// Objects written or deleted.
    #[schemars(extend("format" = "int32"))]
    pub changed: usize,
    /// How long it took, in milliseconds.
    #[schemars(extend("format" = "int64"))]
    pub duration_millis: u64,
}

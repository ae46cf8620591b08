//! Redis: ours, or one that is there already.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{resources::Resources, switch::Switch};

/// Redis: ours, or one that is there already.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("self.mode != 'External' || has(self.external)").message("redis.mode is External: set redis.external.address to host:port of the Redis to use"))]
pub struct Redis {
    /// Managed, External or Disabled.
    #[serde(default)]
    pub mode: RedisMode,
    /// Read when mode is Managed.
    #[serde(default)]
    pub managed: ManagedRedis,
    /// Read when mode is External.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalRedis>,
}

/// Who runs Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RedisMode {
    /// The operator installs one.
    #[default]
    Managed,
    /// Somebody else does; the operator measures that it works.
    External,
    /// Nobody; nothing that needs it runs.
    Disabled,
}

/// The Redis that the operator installs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedRedis {
    /// Whether data survives the pod.
    #[serde(default)]
    pub persistence: Persistence,
    /// Memory for data; keys without use are evicted above it.
    #[serde(default = "default_max_memory")]
    pub max_memory: Quantity,
    /// CPU and memory of the container; its memory limit must exceed `maxMemory`.
    #[serde(default = "redis_resources")]
    pub resources: Resources,
}

fn default_max_memory() -> Quantity {
    Quantity("128Mi".to_owned())
}

fn redis_resources() -> Resources {
    Resources::of("50m", "64Mi", "256Mi")
}

impl Default for ManagedRedis {
    fn default() -> Self {
        Self {
            persistence: Persistence::default(),
            max_memory: default_max_memory(),
            resources: redis_resources(),
        }
    }
}

/// Whether data survives the pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Persistence {
    /// Enabled: append-only file on a PersistentVolume. Disabled: memory only.
    #[serde(default = "Switch::disabled")]
    pub state: Switch,
    /// Size of the volume.
    #[serde(default = "default_volume_size")]
    pub size: Quantity,
    /// StorageClass of the volume. Absent: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

fn default_volume_size() -> Quantity {
    Quantity("1Gi".to_owned())
}

impl Default for Persistence {
    fn default() -> Self {
        Self {
            state: Switch::Disabled,
            size: default_volume_size(),
            storage_class: None,
        }
    }
}

/// A Redis that is there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalRedis {
    /// `host:port`.
    #[schemars(length(min = 1, max = 300), pattern(r"^[^\s/]+:[0-9]+$"))]
    pub address: String,
    /// Transport security.
    #[serde(default)]
    pub tls: ExternalTls,
    /// Secret in the namespace `gloo-mesh` with the keys `username` (optional) and `password`. Absent: no authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret: Option<String>,
}

/// Transport security towards something we do not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalTls {
    /// Whether to speak TLS.
    #[serde(default = "Switch::enabled")]
    pub state: Switch,
    /// Secret in the namespace `gloo-mesh` with the key `ca.crt`: who signed the certificate. TLS needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<String>,
}

impl Default for ExternalTls {
    fn default() -> Self {
        Self {
            state: Switch::Enabled,
            ca_secret: None,
        }
    }
}

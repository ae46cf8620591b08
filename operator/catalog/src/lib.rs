//! What the operator installs: one folder per component, validated input to objects, observed objects to health. Pure.
//!
//! No client, clock, environment or randomness: [`validate`] turns the specification and the facts of the cluster into an
//! [`Input`], a [`Component`] turns the input into objects, probes (as data) and, from what was observed, health.

#![forbid(unsafe_code)]

mod analyzer;
pub mod carried;
mod cilium_agent;
mod cilium_operator;
mod collectors;
mod component;
mod crds;
mod dashboards;
mod facts;
mod gateway;
mod gloo_agent;
mod grafana;
mod health;
mod hubble_relay;
mod id;
mod images;
mod input;
mod insights;
mod labels;
mod lock;
mod management_server;
mod object;
mod observed;
mod probe;
mod quantity;
mod secret;
mod storage;
mod template;
mod validate;

pub mod operator;
mod operator_dashboard;
mod otelcol;
mod prometheus;
mod redis;
mod trust;

pub use collectors::METRICS_UI;
pub use component::{Component, RenderError, catalog, component};
pub use facts::{AGENT_NODES, ClusterFacts, NodeFacts, SecretFacts};
pub use gloonet_api::{CILIUM_NAMESPACE, MESH_NAMESPACE, OPERATOR_NAMESPACE};
pub use health::{Health, State, workload_health};
pub use id::ComponentId;
pub use images::{ImageError, ImageName, ImageResolver};
pub use input::{ApiServer, Input};
pub use lock::{ComponentEntry, ImageEntry, LockError, ReleaseLock};
pub use observed::{
    Observed, PodObservation, ProbeOutcome, ProbeResult, Trouble, Workload, WorkloadKind,
    WorkloadRef,
};
pub use probe::{
    ClientTls, HttpCheck, JsonCheck, LogArrives, PodSelector, Probe, ProbeKind, ProbeTarget,
    RedisLogin, SecretKeyRef,
};
pub use secret::{KeyUsage, SecretKind, SecretName, SecretSpec, acl_key};
pub use validate::{Refusal, standing, validate};

//! What the analyzers of a cluster report, and the insights engine reads.
//!
//! A [`Report`] is one run of one analyzer. It travels as one or more OTLP log records ([`parts`]) and is read from Redis again
//! ([`assemble`]). Pure: types and functions of their arguments; the analyzer, the engine and later the UI meet here.
//!
//! Evolution: a field may be added when it has a default; its meaning never changes. A reader refuses a report whose [`SCHEMA`]
//! it does not know.
#![forbid(unsafe_code)]

pub mod certificates;
pub mod cilium_agents;
pub mod cilium_config;
pub mod cilium_operator;
pub mod cni_configuration;
pub mod gloo_components;
pub mod hubble;
pub mod images;
pub mod network_policies;
pub mod nodes;
mod parts;
pub mod proxies;
mod report;
pub mod workload;

pub use certificates::Certificates;
pub use cilium_agents::CiliumAgents;
pub use cilium_config::CiliumConfig;
pub use cilium_operator::CiliumOperator;
pub use cni_configuration::CniConfiguration;
pub use gloo_components::GlooComponents;
pub use hubble::Hubble;
pub use images::Images;
pub use network_policies::NetworkPolicies;
pub use nodes::Nodes;
pub use parts::{AssembleError, LARGEST_PART, Part, assemble, parts};
pub use proxies::Proxies;
pub use report::{Analyzer, Outcome, Record, Report, SCHEMA, UnknownAnalyzer};
pub use workload::{Counts, PodState};

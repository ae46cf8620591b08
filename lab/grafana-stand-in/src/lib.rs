//! STAND-IN for Grafana in the lab: Grafana's server cannot be built there.
//!
//! Reads the same environment and the same provisioning files, refuses what Grafana refuses, and serves health, data sources, search
//! and dashboards under Grafana's paths with basic authentication. It draws nothing and asks no data source. Files are read once,
//! at the start. Behaviour after Grafana 12, `pkg/services/provisioning` and the HTTP API reference.

#![forbid(unsafe_code)]

pub mod content;
pub mod dashboards;
pub mod datasources;
pub mod server;
mod settings;
mod walk;

pub use settings::{Settings, SettingsError};

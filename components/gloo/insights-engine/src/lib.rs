//! The insights engine.
//!
//! Every few seconds: [`clusters`] says which clusters take part, [`reports`] and [`snapshots`] read what is in Redis about each,
//! [`prometheus`] asks the rules' queries, and the rules of `gloo-insights` judge ([`engine`]). What they find lives in a book that is
//! kept in Redis ([`keep`]), served on loopback ([`api`]) and told to Prometheus ([`metrics`]). Redis is foreign ground: what is
//! read from it is checked, and losing it loses nothing that is not found again.
#![forbid(unsafe_code)]

pub mod api;
pub mod args;
pub mod certificates;
pub mod clusters;
pub mod config;
pub mod engine;
pub mod health;
pub mod keep;
pub mod metrics;
pub mod prometheus;
pub mod reports;
pub mod run;
pub mod shared;
mod silence;
pub mod snapshots;

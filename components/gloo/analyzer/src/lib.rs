//! The analyzer: looks at a cluster and reports what it finds.
//!
//! [`world`] keeps what the API server tells, [`agents`] and [`tls`] ask what runs. Each of [`analyzers`] turns that into a typed
//! record (`gloo-record`); [`schedule`] runs it at its interval and within its time, and [`emit`] sends it as OTLP logs through the
//! cluster's collector. What an analyzer finds wrong is for the insights engine to say; what it cannot find out it says itself.
#![forbid(unsafe_code)]

pub mod agents;
pub mod analyzers;
pub mod args;
pub mod emit;
pub mod health;
pub mod metrics;
pub mod pods;
pub mod reader;
pub mod run;
pub mod schedule;
pub mod tls;
pub mod world;

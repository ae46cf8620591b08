//! The telemetry gateway's way to Redis: OTLP log records (OTLP 1.x, gRPC) become entries of Redis streams.
//!
//! One stream per (cluster, source, …); the last value or the last few, kept for a limited time. What is written is in
//! `docs/redis-keys.md`. A batch is answered only when Redis has it, so the collector in front keeps what Redis cannot take and
//! sends it again; a batch that comes twice is stored once.
#![forbid(unsafe_code)]

pub mod args;
pub mod batch;
#[cfg(test)]
mod fixture;
pub mod key;
pub mod metrics;
pub mod quota;
pub mod record;
pub mod retention;
pub mod room;
pub mod run;
pub mod serve;
pub mod service;
pub mod store;

//! The operator process: arguments, lease, watches, metrics. Decides nothing.

#![forbid(unsafe_code)]

mod arguments;
mod controller;
mod listed;
mod metrics;
mod reconcile;
mod schedule;
mod serve;
mod startup;
mod uninstall;

pub use arguments::Arguments;
pub use startup::{StartupError, run};

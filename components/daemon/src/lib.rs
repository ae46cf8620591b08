//! What every long-running program of ours does around its work: logs, signals, plain listeners, questions to others, an orderly end.
//!
//! Nothing here knows what the program is for.
#![forbid(unsafe_code)]

#[cfg(feature = "kubernetes")]
pub mod asking;
pub mod error;
#[cfg(feature = "kubernetes")]
pub mod events;
pub mod exposition;
pub mod listener;
mod logfmt;
pub mod logging;
#[cfg(feature = "web")]
pub mod prometheus;
pub mod signals;
pub mod tasks;
pub mod troubles;
#[cfg(feature = "kubernetes")]
pub mod watching;
#[cfg(feature = "web")]
pub mod web;

//! A node's agent and plugin together, around a datapath in memory. The plugin's tests need root for network namespaces, those of
//! cluster health for raw sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod check;
mod crowd;
mod health;
mod liveness;
mod metrics;
mod node;
mod plugin;
mod questions;
mod slow;
mod socket;

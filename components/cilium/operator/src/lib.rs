//! The cluster-wide half of the CNI: podCIDRs, identities, garbage collection, node readiness and labels, addresses of
//! load balancers, what is wrong with policies.
//!
//! Each duty is a [`controller::Controller`]: it reads a snapshot of the watched objects, decides with pure code
//! (`pool`, `ipam`, `identities`, …) and hands typed [`write::Write`]s to the one place that talks to the API server.
#![forbid(unsafe_code)]

pub mod args;
pub mod cache;
pub mod controller;
pub mod endpoint_gc;
pub mod grace;
pub mod identities;
pub mod ipam;
pub mod lease;
pub mod load_balancer_ipam;
pub mod metrics;
pub mod node_gc;
pub mod node_labels;
pub mod policy_validity;
pub mod pool;
pub mod readiness;
pub mod run;
pub mod seen;
pub mod serve;
#[cfg(test)]
mod silent;
pub mod unmanaged;
pub mod world;
pub mod write;

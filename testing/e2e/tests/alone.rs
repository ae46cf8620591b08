//! Behaviour of the whole platform while something is done to it: one test after the other, in the order of their names.
//! See the crate's documentation for how to run them.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

#[path = "alone/admission.rs"]
mod admission;
#[path = "alone/bad_input.rs"]
mod bad_input;
#[path = "alone/cilium_operator.rs"]
mod cilium_operator;
#[path = "alone/drift.rs"]
mod drift;
#[path = "alone/foreign_cni.rs"]
mod foreign_cni;
#[path = "alone/leadership.rs"]
mod leadership;
#[path = "alone/main_job.rs"]
mod main_job;
#[path = "alone/objects_deleted.rs"]
mod objects_deleted;
#[path = "alone/pod_network.rs"]
mod pod_network;
#[path = "alone/policy_lifecycle.rs"]
mod policy_lifecycle;
#[path = "alone/relabel.rs"]
mod relabel;
#[path = "alone/rights.rs"]
mod rights;
#[path = "alone/routing.rs"]
mod routing;
#[path = "alone/uninstall.rs"]
mod uninstall;

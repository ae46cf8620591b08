//! Behaviour of the whole platform on a real cluster. See the crate's documentation for how to run it.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

#[path = "live/admission.rs"]
mod admission;
#[path = "live/agent_restart.rs"]
mod agent_restart;
#[path = "live/bad_input.rs"]
mod bad_input;
#[path = "live/cilium_operator.rs"]
mod cilium_operator;
#[path = "live/components_killed.rs"]
mod components_killed;
#[path = "live/drift.rs"]
mod drift;
#[path = "live/foreign_cni.rs"]
mod foreign_cni;
#[path = "live/gloo_admission.rs"]
mod gloo_admission;
#[path = "live/gloo_dry_run.rs"]
mod gloo_dry_run;
#[path = "live/hubble_port.rs"]
mod hubble_port;
#[path = "live/insights.rs"]
mod insights;
#[path = "live/leadership.rs"]
mod leadership;
#[path = "live/listeners.rs"]
mod listeners;
#[path = "live/main_job.rs"]
mod main_job;
#[path = "live/networking.rs"]
mod networking;
#[path = "live/objects_deleted.rs"]
mod objects_deleted;
#[path = "live/policy_cilium.rs"]
mod policy_cilium;
#[path = "live/policy_egress.rs"]
mod policy_egress;
#[path = "live/policy_ingress.rs"]
mod policy_ingress;
#[path = "live/policy_lifecycle.rs"]
mod policy_lifecycle;
#[path = "live/rights.rs"]
mod rights;
#[path = "live/tunnel.rs"]
mod tunnel;
#[path = "live/uninstall.rs"]
mod uninstall;

//! Behaviour of the whole platform for who uses it: these tests leave it as it is, so several run at once.
//! See the crate's documentation for how to run them.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

#[path = "shared/cilium_dbg.rs"]
mod cilium_dbg;
#[path = "shared/cluster_health.rs"]
mod cluster_health;
#[path = "shared/gloo_admission.rs"]
mod gloo_admission;
#[path = "shared/gloo_dry_run.rs"]
mod gloo_dry_run;
#[path = "shared/hubble_port.rs"]
mod hubble_port;
#[path = "shared/load_balancer.rs"]
mod load_balancer;
#[path = "shared/networking.rs"]
mod networking;
#[path = "shared/policy_cilium.rs"]
mod policy_cilium;
#[path = "shared/policy_egress.rs"]
mod policy_egress;
#[path = "shared/policy_ingress.rs"]
mod policy_ingress;
#[path = "shared/second_agent.rs"]
mod second_agent;
#[path = "shared/services_hostile.rs"]
mod services_hostile;
#[path = "shared/services_outside.rs"]
mod services_outside;
#[path = "shared/tunnel.rs"]
mod tunnel;

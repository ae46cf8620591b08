//! A cluster's agent.
//!
//! It watches a fixed list of kinds ([`kinds`]), keeps of each object only the fields on a list ([`strip`]), and replicates
//! that to the management server. What the server wants in return is believed in nothing: [`admit`] lets through labelled
//! CiliumNetworkPolicies outside protected namespaces and statuses of Gloo resources, [`plan`] holds mass removals and obeys the
//! cluster's own switch, [`memory`] says when a removal may happen. What was applied stays when the server is away.
#![forbid(unsafe_code)]

pub mod admit;
pub mod args;
pub mod control;
pub mod discover;
pub mod floor;
pub mod health;
pub mod identity;
pub mod kinds;
pub mod memory;
pub mod metrics;
pub mod observed;
pub mod plan;
pub mod reconcile;
pub mod run;
pub mod secrets;
pub mod strip;
pub mod telemetry;
pub mod watch;

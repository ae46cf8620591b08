//! The CNI plugin: ADD, DEL, CHECK, STATUS and GC of CNI 1.1 (and 0.3.1 to 1.0.0).
//!
//! The plugin makes the pod's link and asks the agent for everything else over its unix socket; what the two say to
//! each other is in [`model`], and [`client`] and [`queue`] serve the agent's side too.
#![forbid(unsafe_code)]

pub mod agent;
pub mod client;
pub mod environment;
pub mod error;
pub mod install;
pub mod installed;
pub mod model;
pub mod netconf;
pub mod plugin;
pub mod queue;
pub mod result;
pub mod runtime;
pub mod verb;
pub mod version;

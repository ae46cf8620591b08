//! The command line people and cilium-cli look into a node's agent with: names, tables and JSON of Cilium's `cilium-dbg`.
//!
//! It asks the agent over its socket and reads nothing by itself, so what it prints is what the agent believes. Only
//! [`command::post_uninstall_cleanup`] is for a node where no agent is.
//! [`command`] has a module per command; each asks, then prints either the JSON or a table. [`cilium_health`] is the program's other face.
#![forbid(unsafe_code)]

pub mod agent;
pub mod cilium_health;
pub mod command;
pub mod error;
mod health;
pub mod output;
pub mod packet;
pub mod reserved;
pub mod table;

pub use command::{Arguments, run};
pub use error::Error;

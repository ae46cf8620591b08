//! The node agent: endpoints, IPAM, ipcache, services, health and metrics.
//!
//! Pure modules decide ([`ipam`], [`identity`], [`nodes`], [`ipcache`], [`services`], [`ports`], [`publish`], [`difference`],
//! [`cluster_health::paths`]);
//! [`watch`] and [`kubernetes`] read and write the API server, [`endpoints`], [`policy`] and [`task`] write the datapath,
//! [`api`], [`health`] and [`metrics`] answer. [`run`] puts it together.
#![forbid(unsafe_code)]

pub mod admission;
pub mod agent;
pub mod api;
pub mod bell;
pub mod cluster_health;
pub mod config;
mod crowd;
pub mod difference;
pub mod directory;
pub mod endpoint;
pub mod endpoints;
pub mod events;
pub mod facts;
pub mod health;
mod holders;
mod hubble;
pub mod identity;
pub mod ipam;
pub mod ipcache;
pub mod kubernetes;
pub mod linger;
pub mod metrics;
pub mod moment;
pub mod nodes;
pub mod policy;
pub mod ports;
pub mod publish;
mod range;
pub mod restore;
mod room;
pub mod run;
pub mod runtime_config;
pub mod seen;
pub mod services;
pub mod status;
pub mod store;
pub mod succession;
pub mod task;
pub mod watch;

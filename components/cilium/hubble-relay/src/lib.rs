//! Hubble's relay: asks every node of the cluster for its flows and answers with all of them, in the order they happened.
//!
//! [`notify`] learns the nodes from any agent, [`pool`] keeps a connection to each, [`flows`] is one client's stream over them.
//! What needs neither connection nor clock is apart and pure: [`peers`], [`merge`], [`last`], [`statuses`], [`request`] and
//! [`summary`].
#![forbid(unsafe_code)]

pub mod args;
pub mod budget;
pub mod dial;
pub mod flows;
mod grace;
pub mod health;
pub mod last;
pub mod link;
pub mod merge;
pub mod metrics;
pub mod notify;
pub mod peers;
pub mod pool;
pub mod request;
pub mod run;
pub mod service;
pub mod statuses;
pub mod summary;

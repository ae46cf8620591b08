//! The management server: snapshots of all clusters in, what each is to have out.
//!
//! [`hub`] takes what agents send, by [`streams`], into [`state`], which is pure: clusters' objects, the translation beside them,
//! and what is desired of each cluster. [`push`] decides what of that may be sent. Redis (`gloo-store`) is behind it all: it spares a full
//! snapshot after a restart and tells other replicas of clusters that are not connected to them; nothing waits for it.
#![forbid(unsafe_code)]

pub mod args;
pub mod authority;
pub mod authorize;
pub mod behind;
pub mod clusters;
pub mod decode;
pub mod failed;
pub mod fences;
pub mod flows;
pub mod health;
pub mod hub;
pub mod judge;
pub mod memory;
pub mod metrics;
pub mod push;
pub mod replicas;
pub mod run;
pub mod shared;
pub mod snapshots;
pub mod state;
pub mod streams;
pub mod sync;
pub mod tokens;

//! From network policies to the entries of the datapath's policy maps.
//!
//! Pure: a [`Repository`] is fed objects and answers with what changed in the map of each local endpoint. It knows no
//! client, clock or kernel; equal input gives equal output.
#![forbid(unsafe_code)]

mod blocks;
mod cluster;
mod compile;
mod cookies;
pub mod fault;
pub mod input;
pub mod key;
mod peer_cache;
pub mod repository;
mod resolve;
mod rule;
mod selector;
#[cfg(feature = "testing")]
pub mod testing;

pub use cilium_api::policy::Refusal;
pub use compile::{validate, validate_clusterwide};
pub use input::{
    CidrGroupName, NamedPorts, Node, PolicyId, PolicyKind, PolicyRef, Service, ServiceName,
    Subject, SubjectId,
};
pub use key::{Cookie, Direction, Entry, Key, MapState, Verdict};
pub use repository::{Changes, Choice, Options, Refused, Repository, SubjectChanges, Table};

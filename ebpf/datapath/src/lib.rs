//! The node's datapath: loads, pins and attaches the kernel programs, writes their maps, and speaks netlink.
//!
//! Callers see the trait [`Datapath`] and plain data. [`Kernel`] is the real one, [`Fake`] keeps everything in memory
//! for tests of callers. [`link`] is the netlink half alone: the CNI plugin uses it without touching a map.
//! Everything here blocks; an asynchronous caller runs it on a blocking thread.

mod contract;
mod error;
mod fake;
mod kernel;
pub mod link;
mod mac;
mod model;
#[cfg(feature = "testing")]
pub mod testing;

pub use contract::Datapath;
/// Cilium's words for the number of a drop reason.
pub use datapath_abi::reason::name as reason_name;
pub use error::Error;
pub use fake::Fake;
pub use kernel::{Kernel, Remnant, remnants};
pub use mac::{Mac, ParseMacError};
pub use model::{
    Backend, Collected, Config, Counter, Direction, Endpoint, Event, EventKind, EventSource, Flow,
    FlowEnd, Frontend, GaveWay, IpEntry, MAX_FLOWS, MAX_POLICY_ENTRIES, Maglev, MapOperations,
    MapPressure, Node, PerProtocol, PolicyEntry, PolicyKey, Protocol, Routing, Scope, Service,
    Tenant, Verdict, WhenEmpty,
};

//! The only crate that reads and writes Kubernetes for the operator.
//!
//! [`connect()`] gives a client whose requests are counted; [`Eyes`] watches what matters and keeps it small; [`observe`]
//! turns what was seen into the words of the catalog and the plan; [`Hands`] runs the steps of a plan. Deciding is done
//! elsewhere.

#![forbid(unsafe_code)]

pub mod apply;
pub mod cluster;
pub mod connect;
pub mod delete;
pub mod election;
pub mod enrolment;
pub mod events;
pub mod eyes;
pub mod fault;
pub mod hands;
pub mod inventory;
pub mod observe;
pub mod platform;
pub mod prober;
pub mod secrets;
pub mod sight;

pub use cluster::Cluster;
pub use connect::{ConnectError, Meter, connect};
pub use election::{Election, ElectionError};
pub use enrolment::{Enrolment, EnrolmentError, Revocation};
pub use events::{Events, Kind as EventKind};
pub use eyes::{Eyes, Seen, Source};
pub use fault::Fault;
pub use hands::{Done, Hands};
pub use prober::Prober;

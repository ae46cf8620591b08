//! The relay between the agents of many clusters and the management server.
//!
//! An agent dials the server and keeps one stream. Up it replicates what it observed, down come the objects it is to make.
//! Both ways are one mechanism, [`table`]; what is said when is [`session`], a pure state machine that the real ends
//! ([`server`], [`client`]) and the simulation share. Who an agent is stands in its certificate; how it comes to one is
//! [`enrolment`].
#![forbid(unsafe_code)]

pub mod budget;
pub mod client;
pub mod digest;
pub mod enrolment;
#[cfg(any(test, feature = "testing"))]
pub mod fixture;
pub mod key;
#[expect(
    clippy::allow_attributes,
    clippy::default_trait_access,
    clippy::too_many_lines,
    reason = "generated"
)]
pub mod proto;
pub mod server;
pub mod session;
pub mod table;
pub mod telemetry;
pub mod tls;

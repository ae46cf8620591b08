//! The Hubble API of one node.
//!
//! The datapath's reader hands [`event::PacketEvent`]s to an [`observer::Writer`]; clients read them as flows through the
//! services of [`server::Server`]. What an address, an identity or a cookie is called is asked of [`names::Names`].
//!
//! An event is kept as it came, with the two endpoints its addresses had at that moment. The flow is made for the first
//! client that reads it and shared with the others, so a node nobody looks at pays for no Protobuf, and for labels only what its
//! [`metrics`] say.
#![forbid(unsafe_code)]

/// The release of Cilium whose formats are kept.
pub const CILIUM: &str = "1.20.2";

pub mod about;
pub mod event;
pub mod export;
pub mod filter;
#[cfg(any(test, feature = "testing"))]
pub mod fixture;
pub mod flow;
pub mod mask;
pub mod metrics;
pub mod names;
pub mod observer;
pub mod packet;
#[expect(
    clippy::allow_attributes,
    clippy::default_trait_access,
    clippy::struct_excessive_bools,
    clippy::too_many_lines,
    reason = "generated"
)]
pub mod proto;
pub mod ring;
pub mod server;
pub mod tls;
pub mod transport;

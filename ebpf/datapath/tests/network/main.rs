//! The whole datapath on fake nodes: network namespaces joined by a bridge, pods behind veth pairs. Needs root and iproute2.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's support fails by panicking"
)]

mod affinity;
mod balanced;
#[path = "../programs/chance.rs"]
mod chance;
mod cluster;
mod cost;
mod crowd;
mod impostor;
mod lost;
mod maglev;
mod malformed;
mod masquerade;
mod mtu;
mod namespace;
mod native;
mod outside;
mod ownership;
mod paths;
mod pieces;
mod policy;
mod restart;
mod reuse;
mod sctp;
mod services;
mod services_full;
mod stranger;
mod tables;
mod traffic;
mod unserved;

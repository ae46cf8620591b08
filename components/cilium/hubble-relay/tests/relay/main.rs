//! The relay before servers of nodes as the agents have them, over real connections.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod about;
mod flows;
mod kit;
mod nodes;
mod tls;

//! STAND-INS for what runs in the pods of cilium-cli's connectivity test; for the lab, which cannot pull upstream's images.
//!
//! [`echo`] is the HTTP server that clients ask, [`connection`] both ends of a connection that must outlive restarts of agents.
//! Only what the tests of `./dev conformance cilium` ask of them is there.
#![forbid(unsafe_code)]

pub mod connection;
pub mod echo;

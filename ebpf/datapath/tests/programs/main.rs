//! Every packet program, verified by the kernel and run on packets with `BPF_PROG_TEST_RUN`. Needs root.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's support fails by panicking"
)]

mod arrival;
mod chance;
mod conntrack;
mod cost;
mod errors;
mod events;
mod fair;
mod fragments;
mod fragments_outside;
mod frame;
mod from_container;
mod from_host;
mod full;
mod maglev;
mod malformed;
mod masquerade;
mod mutation;
mod mutation_outside;
mod native;
mod node;
mod outcome;
mod outside;
mod overlay;
mod policy;
mod reset;
mod rules;
mod sctp;
mod service;
mod shared;

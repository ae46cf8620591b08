//! Every packet program, verified by the kernel and run on packets with `BPF_PROG_TEST_RUN`. Needs root.

mod frame;
mod from_container;
mod from_host;
mod malformed;
mod masquerade;
mod node;
mod overlay;
mod service;

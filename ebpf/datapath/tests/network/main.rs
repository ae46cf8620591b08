//! The whole datapath on fake nodes: network namespaces joined by a bridge, pods behind veth pairs. Needs root and iproute2.

mod cluster;
mod cost;
mod masquerade;
mod namespace;
mod ownership;
mod paths;
mod restart;
mod services;
mod traffic;

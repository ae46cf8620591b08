//! A real multi-node, multi-cluster Kubernetes on one machine.
//!
//! [`Cluster`] is the whole of it: `Cluster::open("default")?.up(&Options::default(), &quiet)?` starts one,
//! [`Cluster::down`] takes everything of it back, and the methods between break it in every way a test needs.
//! Everything lives in namespaces; the machine's own network has no interface of and no route to any of it. What the lab
//! makes is written to its state file first (see [`state`]).

pub mod addressing;
pub mod cgroup;
pub mod cli;
pub mod cluster;
pub mod command;
pub mod disk;
pub mod faults;
pub mod frame;
pub mod images;
pub mod inside;
pub mod layout;
pub mod limits;
pub mod network;
pub mod packet;
pub mod pki;
pub mod process;
pub mod render;
pub mod state;
pub mod unpacked;

pub use cluster::{
    Cluster, Error, Event, Faults, Images, Link, Node, Options, Part, PodNetwork, Spot, quiet,
};
pub use inside::Impairment;
pub use state::Cni;

//! Network links by netlink: what the CNI plugin does in a pod's namespace, and what the agent does in the node's.
//!
//! Blocking and without shelling out: a request is a system call of some tens of microseconds, and a plugin that lives for ten
//! milliseconds should not start a runtime for it.

mod block;
mod error;
pub(crate) mod message;
mod netlink;
mod pod;

pub use error::Error;
pub use netlink::{Link, Netlink, Route};
pub use pod::{
    PodLink, PodLinkReport, PodLinkSpec, create_pod_link, delete_pod_link, inspect_pod_link,
    settle_pod_link,
};

//! From what all clusters have to the policies each of them is to have.
//!
//! Pure. [`world`] is the input: namespaces, services, accounts and workloads of every cluster, and the Gloo resources people
//! wrote. [`translator::Translator`] keeps the output beside it and computes again only the workspaces a change touches.
//!
//! What holds for every output, and is tested against a slow reference:
//! * Nothing selected is nobody let in, never no rule. A resource that cannot be followed in full lets in fewer, not more.
//! * A policy lets in no account that the workspace does not: its own, and those of workspaces it exports to that import it.
//! * An account is one of a cluster; its namesake elsewhere is somebody else.
//! * No policy is made for a protected namespace.
//!
//! The node itself always reaches its pods (the pod network allows its host), so probes of the kubelet need no rule. Policies
//! are about ingress; what a pod may look up or call elsewhere is the other side's to say.
#![forbid(unsafe_code)]

pub mod access;
pub mod dry_run;
mod isolation;
mod member;
mod overlap;
mod reach;
mod render;
pub mod rule;
mod select;
mod settings;
mod share;
#[cfg(feature = "testing")]
pub mod testing;
pub mod translator;
pub mod verdict;
pub mod view;
pub mod world;

pub use rule::{Peer, PolicyKey, Rule};
pub use translator::{Delta, Translator};
pub use world::{Object, Place, Slot, World};

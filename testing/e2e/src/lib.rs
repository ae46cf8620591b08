//! What the live tests stand on: the lab's cluster, its API, pods that talk, and patience with a limit.
//!
//! The tests are in `tests/live/`, one file per behaviour. They need `./dev up` (or `./dev test`, which brings a cluster
//! of its own): `cargo test -p gloonet-e2e -- --test-threads=1`. They run in the order of their names; `uninstall` is
//! the last and leaves the cluster as it found it. Those in `tests/fleet/` need three clusters, `./dev up --clusters 3`.
#![forbid(unsafe_code)]

pub mod fleet;
pub mod insights;
pub mod ledger;
pub mod listeners;
pub mod objects;
pub mod platform;
pub mod pods;
pub mod policy;
pub mod scene;
pub mod tokens;
pub mod wait;

pub use scene::Scene;

//! What the live tests stand on: the lab's cluster, its API, pods that talk, and patience with a limit.
//!
//! The tests need `./dev up` (or `./dev test`, which brings a cluster of its own), and are one file per behaviour in five
//! suites:
//!
//! * `tests/shared/` uses the platform and leaves it as it is, so its tests run beside each other:
//!   `cargo test -p gloonet-e2e --test shared -- --test-threads=3`.
//! * `tests/alone/` does something to the platform: `cargo test -p gloonet-e2e --test alone -- --test-threads=1`. They run in
//!   the order of their names; `uninstall` is the last and leaves the cluster as it found it. `rights` judges what was asked
//!   for before, so it needs the first suite to have run.
//! * `tests/reports/` asks what the platform tells of itself, and whom, also of what is broken for it:
//!   `cargo test -p gloonet-e2e --test reports -- --test-threads=1`.
//! * `tests/outages/` takes parts of the platform, nodes or the API server away and watches what goes on:
//!   `cargo test -p gloonet-e2e --test outages -- --test-threads=1`.
//! * `tests/fleet/` needs three clusters, `./dev up --clusters 3`: `cargo test -p gloonet-e2e --test fleet -- --test-threads=1`.
#![forbid(unsafe_code)]

pub mod agent;
pub mod beat;
pub mod events;
pub mod fleet;
pub mod insights;
pub mod ledger;
pub mod lines;
pub mod listeners;
pub mod objects;
pub mod operator;
pub mod platform;
pub mod pods;
pub mod policy;
pub mod scene;
pub mod sentence;
pub mod stage;
pub mod surface;
pub mod tokens;
pub mod wait;
pub mod wire;

pub use scene::Scene;

//! Worlds, changes, and a slow reference. Only for tests and benchmarks.

pub mod changes;
pub mod fleet;
pub mod partners;
pub mod reference;

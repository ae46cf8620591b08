//! Desired and observed state to a plan of typed steps with reasons, and what is said about it in status. Pure.
//!
//! Nothing here holds a client, reads a clock or draws a random number: time comes in as an argument, and the same
//! arguments give the same plan.

#![forbid(unsafe_code)]

pub mod conditions;
pub mod decide;
pub mod desired;
pub mod fight;
pub mod fingerprint;
pub mod graph;
pub mod in_use;
pub mod inventory;
pub mod lint;
pub mod live;
pub mod news;
pub mod object;
pub mod progress;
pub mod removal;
pub mod render;
pub mod report;
pub mod retry;
pub mod step;

pub use decide::{Plan, plan};
pub use desired::{
    Desired, DesiredComponent, DesiredObject, Intent, NeededSecret, SecretCondition,
};
pub use fight::{Fights, Verdict};
pub use fingerprint::Fingerprint;
pub use inventory::{Entry, Inventory};
pub use live::{Live, LiveObject};
pub use object::ObjectKey;
pub use render::{Paused, Rendered};
pub use report::{Report, Situation, status};
pub use retry::{Failure, Retries};
pub use step::{Reason, Step};

#[cfg(test)]
mod tests;

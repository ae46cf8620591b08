//! What is said when, on one stream: two state machines without a socket or a clock.
//!
//! The real ends and the simulation feed them messages and the time, and send what they return.

mod agent;
mod backoff;
mod fence;
mod server;

pub use agent::{AgentEnd, AgentFacts, AgentSession, AgentStep};
pub use backoff::{Backoff, renewal};
pub use fence::{Claim, outranks};
pub use server::{ServerEnd, ServerSession, ServerStep};

use std::time::Duration;

/// The protocol version spoken.
pub const PROTOCOL: u32 = 1;
/// The oldest one still spoken: the release before.
pub const OLDEST: u32 = 1;

/// How long the other side may take to say who it is, or to answer that.
pub const GREETING: Duration = Duration::from_secs(20);
/// How long frames may go without an acknowledgement. Applying a thousand objects against a slow API server takes a while.
pub const ACKNOWLEDGED: Duration = Duration::from_mins(2);
/// Fresh snapshots one stream may ask for. Who needs more is broken, and starts over with a new stream and a pause.
const RESYNCS: u32 = 5;

/// Time since a start of the caller's choice. It only ever grows.
pub type Moment = Duration;

/// The version both speak.
pub fn common_version(theirs: u32) -> Option<u32> {
    let ours = theirs.min(PROTOCOL);
    (ours >= OLDEST).then_some(ours)
}

#[cfg(test)]
mod tests;

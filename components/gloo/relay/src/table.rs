//! Replication of objects from one side to the other: one mechanism for snapshots up and desired state down.
//!
//! A [`Source`] is what one side wants the other to have. Per stream an [`Outgoing`] makes frames of it, and the other side's
//! [`Incoming`] takes them. Parts take effect together; the digest of the end says whether both hold the same.

mod changes;
mod incoming;
mod outgoing;
mod room;
mod set;
mod source;

pub use changes::{Changes, FrameError, HARD_BYTES, PART_BYTES, pack, unpack};
pub use incoming::{Incoming, Limits, Refusal, Taken};
pub use outgoing::Outgoing;
pub use room::{Full, Room, Seat, Use, Weigh};
pub use source::{OBJECT_BYTES, Source};

/// The objects of one side, by key: canonical JSON each.
pub type Objects = std::collections::BTreeMap<crate::key::ObjectKey, bytes::Bytes>;

#[cfg(test)]
mod tests;

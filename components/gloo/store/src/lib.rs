//! What the management plane keeps in Redis: how it gets there, how entries are sealed, and snapshots of clusters.
//!
//! The management server writes snapshots, the insights engine reads them. Of each cluster it also has which agent is served, over all
//! replicas. Redis is foreign ground: whoever reads takes only what opens under the seal.
#![forbid(unsafe_code)]

mod connection;
mod fence;
mod seal;
mod snapshot;
mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use connection::{ConnectionError, Redis, RedisArgs};
pub use fence::{Fences, Holder, Moment, Word};
pub use seal::{Seal, SealError};
pub use snapshot::{Head, StoreError, Unsaved, Write, open, prepare, redis_key};
pub use store::{Found, Store};

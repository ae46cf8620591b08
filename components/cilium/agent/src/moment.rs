//! When something was: on the clock that people see, which somebody may set, and on the one that only goes on.

use std::time::Instant;

use jiff::Timestamp;

/// What is shown of a moment, and what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub shown: Timestamp,
    pub instant: Instant,
}

impl Moment {
    pub fn now() -> Self {
        Self {
            shown: Timestamp::now(),
            instant: Instant::now(),
        }
    }
}

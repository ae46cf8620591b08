//! When a watch of the API server is tried again, and what is said of it.

use std::time::Duration;

use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff};

use crate::error::chain;

/// The client's own pauses grow to a minute. Whatever changed in an outage would be heard of as much later, and pods that begin then
/// would wait for their addresses, identities and policies.
const LONGEST: Duration = Duration::from_secs(5);

/// A watch that fails says so again within this, however long its connection takes to fail. It does not say that it runs again: one that
/// has been silent for longer does, and its kind is quiet.
pub const QUIET: Duration = Duration::from_mins(1);

/// The client's own pauses, jittered as they are, and none longer than five seconds.
#[derive(Default)]
pub struct Pauses(DefaultBackoff);

impl std::fmt::Debug for Pauses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pauses").finish_non_exhaustive()
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(LONGEST))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// Says in the log that a watch is interrupted. One that is too old is listed anew, and nobody has to look into it.
pub fn interrupted(kind: &str, error: &watcher::Error) {
    if has_expired(error) {
        tracing::info!(kind, "Watch is too old, listing anew");
    } else {
        let error = chain(error);
        tracing::warn!(
            kind,
            error,
            "Watch interrupted, trying again; what is known stays in force"
        );
    }
}

/// Whether the API server has forgotten what a watch would go on from (410 Gone): part of a long watch's life.
fn has_expired(error: &watcher::Error) -> bool {
    const GONE: u16 = 410;
    match error {
        watcher::Error::WatchError(status)
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == GONE,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn status(code: u16) -> Box<Status> {
        Box::new(Status::failure("too old resource version: 560 (563)", "Expired").with_code(code))
    }

    #[test]
    fn a_watch_that_is_too_old_has_expired_and_one_that_is_refused_has_not() {
        for (code, expired) in [(410, true), (403, false), (500, false)] {
            let error = watcher::Error::WatchError(status(code));
            assert_eq!(has_expired(&error), expired, "{code}");
            let error = watcher::Error::WatchStartFailed(kube::Error::Api(status(code)));
            assert_eq!(has_expired(&error), expired, "{code}");
        }
        assert!(!has_expired(&watcher::Error::NoResourceVersion));
    }

    #[test]
    fn a_watch_is_tried_again_soon_however_long_it_has_failed() {
        let mut pauses = Pauses::default();
        let first = pauses.next().unwrap();
        assert!(first < Duration::from_secs(2), "{first:?}");
        let later: Vec<Duration> = pauses.by_ref().take(50).collect();
        assert_eq!(later.last(), Some(&LONGEST));
        assert!(later.iter().all(|pause| *pause <= LONGEST), "{later:?}");
        pauses.reset();
        assert!(pauses.next().unwrap() < Duration::from_secs(2));
    }
}

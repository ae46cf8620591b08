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

/// Says in the log that a watch is interrupted. Two answers of the API server are part of its life, and nobody has to look into them:
/// a watch that is too old is listed anew, and what asks too early, of a kind that was only just defined, asks again.
pub fn interrupted(kind: &str, error: &watcher::Error) {
    match answer(error) {
        Some(GONE) => tracing::info!(kind, "Watch is too old, listing anew"),
        Some(TOO_MANY_REQUESTS) => {
            let asked = chain(error);
            tracing::info!(kind, asked, "The API server asks to wait, trying again");
        }
        _ => {
            let error = chain(error);
            tracing::warn!(
                kind,
                error,
                "Watch interrupted, trying again; what is known stays in force"
            );
        }
    }
}

/// The API server has forgotten what a watch would go on from.
const GONE: u16 = 410;
/// Overload, or the storage of a new kind is not ready.
const TOO_MANY_REQUESTS: u16 = 429;

/// The code the API server answered with.
fn answer(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::WatchError(status)
        | watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;
    use crate::logfmt::tests::logged;

    fn status(code: u16) -> Box<Status> {
        Box::new(Status::failure("too old resource version: 560 (563)", "Expired").with_code(code))
    }

    #[test]
    fn the_api_servers_answer_is_known_wherever_in_a_watch_it_comes() {
        for code in [GONE, TOO_MANY_REQUESTS, 403] {
            for error in [
                watcher::Error::WatchError(status(code)),
                watcher::Error::InitialListFailed(kube::Error::Api(status(code))),
                watcher::Error::WatchStartFailed(kube::Error::Api(status(code))),
            ] {
                assert_eq!(answer(&error), Some(code), "{error}");
            }
        }
        assert_eq!(answer(&watcher::Error::NoResourceVersion), None);
    }

    #[test]
    fn only_what_somebody_has_to_look_into_is_a_warning() {
        for (code, warned) in [
            (GONE, false),
            (TOO_MANY_REQUESTS, false),
            (403, true),
            (500, true),
        ] {
            let error = watcher::Error::WatchStartFailed(kube::Error::Api(status(code)));
            let said = logged(|| interrupted("pods", &error));
            assert_eq!(said.contains("level=warn"), warned, "{code}: {said}");
            assert!(said.contains("pods"), "{said}");
        }
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

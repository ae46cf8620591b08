//! When a watch of the API server is tried again.

use std::time::Duration;

use kube::runtime::utils::Backoff;
use kube::runtime::watcher::DefaultBackoff;

/// The client's own pauses grow to a minute. Whatever changed in an outage would be heard of as much later, and pods that begin then
/// would wait for their addresses, identities and policies.
const LONGEST: Duration = Duration::from_secs(5);

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

#[cfg(test)]
mod tests {
    use super::*;

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

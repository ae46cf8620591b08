//! When a failure that may pass is worth a warning.

use std::time::Duration;

use tokio::time::Instant;

/// An agent that is replaced is away for less.
const GRACE: Duration = Duration::from_secs(30);

/// Since when something fails, and what was warned of.
#[derive(Debug)]
pub(crate) struct Grace {
    since: Instant,
    said: String,
}

impl Grace {
    /// It fails from now on.
    pub(crate) fn begin() -> Self {
        Self {
            since: Instant::now(),
            said: String::new(),
        }
    }

    /// Whether to warn of this error: once each, and not at first.
    pub(crate) fn is_over(&mut self, error: &str) -> bool {
        let over = self.since.elapsed() >= GRACE && error != self.said;
        if over {
            error.clone_into(&mut self.said);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_warned_of_once_when_it_has_lasted() {
        let mut grace = Grace::begin();
        assert!(!grace.is_over("refused"));
        tokio::time::advance(GRACE).await;
        assert!(grace.is_over("refused"));
        assert!(!grace.is_over("refused"));
        assert!(grace.is_over("no route"), "another one");
    }
}

//! How parts of the agent tell each other that something changed, without saying what: the reader looks for itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

/// Changes that come together are handled together.
const GATHER: Duration = Duration::from_millis(20);

/// One reader's bell. Rings that come before it listens are one ring, none is lost.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits for a ring, or for `at_most`, and then a moment for others to come along.
    pub async fn wait(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.0.notified()).await;
        tokio::time::sleep(GATHER).await;
    }
}

/// The bells of every reader that cares about one source.
#[derive(Clone, Debug, Default)]
pub struct Bells(Vec<Bell>);

impl Bells {
    pub fn new(bells: &[&Bell]) -> Self {
        Self(bells.iter().map(|bell| (*bell).clone()).collect())
    }

    pub fn ring(&self) {
        for bell in &self.0 {
            bell.ring();
        }
    }
}

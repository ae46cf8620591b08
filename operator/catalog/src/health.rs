//! How a component is, in one word and one sentence a person can act on.

mod diagnose;
mod probes;
mod workload;

pub(crate) use probes::{all_answered, value, worst};
pub use workload::workload_health;

/// One word.
///
/// The order is that of severity, so the worst of several is their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Healthy,
    /// Moving: a normal rollout, or the first start.
    Progressing,
    /// It could not be seen. Never counts as failed.
    Unknown,
    /// Something a person has to look at.
    Degraded,
}

/// State, sentence and counts of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub state: State,
    pub message: String,
    pub ready: i32,
    pub desired: i32,
    /// What needs this component may go on, also while it is not healthy itself.
    pub serves: bool,
    /// Every pod it shall have is available, if only of the template before, and none was found not to work.
    pub stands: bool,
}

impl Health {
    pub fn healthy(message: impl Into<String>) -> Self {
        Self {
            state: State::Healthy,
            message: message.into(),
            ready: 0,
            desired: 0,
            serves: true,
            stands: true,
        }
    }

    pub fn progressing(message: impl Into<String>) -> Self {
        Self {
            state: State::Progressing,
            message: message.into(),
            ready: 0,
            desired: 0,
            serves: false,
            stands: false,
        }
    }

    pub fn degraded(message: impl Into<String>) -> Self {
        Self {
            state: State::Degraded,
            message: message.into(),
            ready: 0,
            desired: 0,
            serves: false,
            stands: false,
        }
    }

    pub fn unknown(message: impl Into<String>) -> Self {
        Self {
            state: State::Unknown,
            message: message.into(),
            ready: 0,
            desired: 0,
            serves: false,
            stands: false,
        }
    }

    #[must_use]
    pub fn counted(mut self, ready: i32, desired: i32) -> Self {
        self.ready = ready;
        self.desired = desired;
        self
    }

    /// For what is on its way and already does what others need it for.
    #[must_use]
    pub(crate) fn serving(mut self) -> Self {
        self.serves = true;
        self
    }

    /// For a rollout that takes no pod away before a new one is available.
    #[must_use]
    pub(crate) fn standing(mut self) -> Self {
        self.stands = true;
        self
    }

    /// The sentence kept for what is healthy; anything else keeps its own.
    #[must_use]
    pub(crate) fn or_message(mut self, message: impl Into<String>) -> Self {
        if self.is_healthy() {
            self.message = message.into();
        }
        self
    }

    pub fn is_healthy(&self) -> bool {
        self.state == State::Healthy
    }
}

//! What is said about a resource.

use gloo_api::{
    Approval, State, access_policy::AccessPolicyStatus, dashboard::DashboardStatus, state::Common,
    workspace::WorkspaceStatus, workspace_settings::WorkspaceSettingsStatus,
};

use crate::world::Place;

/// A resource with a status.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Workspace(Place),
    Settings(Place),
    Policy(Place),
    Dashboard(Place),
}

/// The status of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Workspace(WorkspaceStatus),
    Settings(WorkspaceSettingsStatus),
    Policy(AccessPolicyStatus),
    Dashboard(DashboardStatus),
}

impl Status {
    pub fn state(&self) -> &State {
        match self {
            Self::Workspace(status) => &status.common.state,
            Self::Settings(status) => &status.common.state,
            Self::Policy(status) => &status.common.state,
            Self::Dashboard(status) => &status.common.state,
        }
    }
}

impl Status {
    pub fn state_mut(&mut self) -> &mut State {
        match self {
            Self::Workspace(status) => &mut status.common.state,
            Self::Settings(status) => &mut status.common.state,
            Self::Policy(status) => &mut status.common.state,
            Self::Dashboard(status) => &mut status.common.state,
        }
    }

    /// What a dry run lists, where there is one.
    pub fn would_deny(&mut self) -> Option<&mut Vec<String>> {
        match self {
            Self::Workspace(_) | Self::Dashboard(_) => None,
            Self::Settings(status) => Some(&mut status.would_deny),
            Self::Policy(status) => Some(&mut status.would_deny),
        }
    }
}

/// Collects sentences; the worst decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    invalid: bool,
    sentences: Vec<String>,
}

/// Sentences a status repeats at most; it is for people.
const SENTENCES: usize = 20;

impl Verdict {
    pub(crate) fn warn(&mut self, sentence: impl Into<String>) {
        self.sentences.push(sentence.into());
    }

    pub(crate) fn refuse(&mut self, sentence: impl Into<String>) {
        self.invalid = true;
        self.warn(sentence);
    }

    pub(crate) fn common(mut self, generation: i64) -> Common {
        let more = self.sentences.len().saturating_sub(SENTENCES);
        self.sentences.truncate(SENTENCES);
        if more > 0 {
            self.sentences.push(format!("and {more} more"));
        }
        let approval = match (self.invalid, self.sentences.is_empty()) {
            (true, _) => Approval::Invalid,
            (false, false) => Approval::Warning,
            (false, true) => Approval::Accepted,
        };
        Common {
            state: State {
                observed_generation: generation,
                approval,
                message: self.sentences.join("; "),
            },
        }
    }
}

//! Why a write did not happen, and whether trying again may help.

use gloonet_plan::{ObjectKey, progress::Trouble};
use kube::core::Status;

use crate::enrolment::EnrolmentError;

/// One failed operation on one object.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{key} could not be applied")]
    Apply { key: ObjectKey, source: kube::Error },
    #[error(
        "{key} exists and belongs to somebody else ({owner}); delete or rename it, or remove that field manager"
    )]
    Foreign { key: ObjectKey, owner: String },
    #[error("{key} could not be deleted")]
    Delete { key: ObjectKey, source: kube::Error },
    #[error("{key} could not be read")]
    Read { key: ObjectKey, source: kube::Error },
    #[error("{key} could not be made")]
    Make {
        key: ObjectKey,
        source: rcgen::Error,
    },
    #[error("{key} could not be made")]
    Enrol {
        key: ObjectKey,
        source: EnrolmentError,
    },
    #[error("{key}: its certificate authority is not there yet")]
    NoAuthority { key: ObjectKey },
    #[error(
        "the inventory {key} holds what is no inventory; restore it, or delete it to have everything listed anew"
    )]
    Inventory {
        key: ObjectKey,
        source: gloonet_plan::inventory::InventoryError,
    },
    #[error("a finalizer or the status of GlooNetwork default could not be written")]
    Platform(#[source] kube::Error),
    #[error("{what} could not be listed")]
    List {
        what: &'static str,
        source: kube::Error,
    },
}

impl Fault {
    /// The API server's answer, if there was one.
    fn answer(&self) -> Option<&Status> {
        let source = match self {
            Self::Apply { source, .. }
            | Self::Delete { source, .. }
            | Self::Read { source, .. }
            | Self::List { source, .. }
            | Self::Platform(source) => source,
            Self::Enrol { source, .. } => source.api()?,
            Self::Foreign { .. }
            | Self::Make { .. }
            | Self::NoAuthority { .. }
            | Self::Inventory { .. } => return None,
        };
        match source {
            kube::Error::Api(status) => Some(status),
            _ => None,
        }
    }

    /// True when the API server did not answer at all.
    pub fn is_silence(&self) -> bool {
        let asked = match self {
            Self::Foreign { .. }
            | Self::Make { .. }
            | Self::NoAuthority { .. }
            | Self::Inventory { .. } => false,
            Self::Enrol { source, .. } => source.api().is_some(),
            _ => true,
        };
        asked && self.answer().is_none()
    }

    /// True when the API server has no time: it would refuse the next request as well.
    pub fn is_overload(&self) -> bool {
        self.answer()
            .is_some_and(|status| matches!(status.code, 429 | 503 | 504))
    }

    /// In one sentence, with the API server's own words, and sorted by who has to act.
    pub fn to_trouble(&self) -> Trouble {
        let lasting = match self {
            Self::Foreign { .. } | Self::Make { .. } | Self::Inventory { .. } => true,
            Self::NoAuthority { .. } => false,
            _ => self.answer().is_some_and(|status| {
                // A namespace that is going away refuses with 403 for a while.
                let going = status.message.contains("because it is being terminated");
                matches!(status.code, 400 | 403 | 405 | 422) && !going
            }),
        };
        let sentence = self.sentence();
        if lasting {
            Trouble::Lasting(sentence)
        } else {
            Trouble::Passing(sentence)
        }
    }

    fn sentence(&self) -> String {
        match self.answer() {
            Some(status) if status.code == 403 => format!(
                "{self}: {}; the operator's ClusterRole lacks this right",
                status.message
            ),
            Some(status) => format!("{self}: {}", status.message),
            None => match std::error::Error::source(self) {
                Some(source) => format!("{self}: {}", root(source)),
                None => self.to_string(),
            },
        }
    }
}

/// The innermost cause: the layers between say the same with more words.
fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}

/// True when the object is not there.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// True when the object is not as the request assumed.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

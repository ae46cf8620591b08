//! Policies a node's datapath has no room for.
//!
//! An agent may write nothing about a policy. It says so in an annotation of its own CiliumNode, and the operator, which
//! writes the policies' conditions, passes it on. So a wrong agent can only complain about policies in its own name.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Annotation of a CiliumNode: a JSON list of [`Unplaced`]; absent when everything has room.
pub const UNPLACED_ANNOTATION: &str = "network.gloonet.io/policies-without-room";

/// More are not named: an annotation is no place for thousands.
pub const MOST_UNPLACED: usize = 50;

/// A policy without room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unplaced {
    /// Kind of the policy.
    pub kind: String,
    /// Namespace; empty for a clusterwide one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// The annotation's value; `None`: there shall be none.
pub fn write_unplaced(policies: &BTreeSet<Unplaced>) -> Option<String> {
    let named: Vec<&Unplaced> = policies.iter().take(MOST_UNPLACED).collect();
    if named.is_empty() {
        return None;
    }
    serde_json::to_string(&named).ok()
}

/// What the annotation says. One that cannot be read says nothing: it is about conditions only.
pub fn read_unplaced(annotation: &str) -> BTreeSet<Unplaced> {
    serde_json::from_str(annotation).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(number: usize) -> Unplaced {
        Unplaced {
            kind: "CiliumNetworkPolicy".to_owned(),
            namespace: "shop".to_owned(),
            name: format!("p{number:04}"),
        }
    }

    #[test]
    fn what_was_written_is_read_again_and_only_the_first_are_named() {
        let few: BTreeSet<Unplaced> = (0..3).map(policy).collect();
        assert_eq!(read_unplaced(&write_unplaced(&few).unwrap()), few);
        let many: BTreeSet<Unplaced> = (0..1000).map(policy).collect();
        let text = write_unplaced(&many).unwrap();
        assert_eq!(read_unplaced(&text).len(), MOST_UNPLACED);
    }

    #[test]
    fn nothing_without_room_is_no_annotation_and_nonsense_names_nobody() {
        assert_eq!(write_unplaced(&BTreeSet::new()), None);
        assert_eq!(read_unplaced("[{\"kind\": 7}]"), BTreeSet::new());
    }
}

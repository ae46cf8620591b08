//! What is there, as far as a decision needs it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Fingerprint, ObjectKey};

/// Objects that carry our label, as the watches show them.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// By object.
    pub objects: BTreeMap<ObjectKey, LiveObject>,
    /// Group, kind and namespace of what has been read in full. Absence of an object means something only for these.
    pub read: BTreeSet<(String, String, Option<String>)>,
    /// Objects that are watched by their name and have been read. They say nothing about others of their namespace.
    pub named: BTreeSet<ObjectKey>,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveObject {
    /// Its UID.
    pub uid: String,
    /// Of its content.
    pub fingerprint: Fingerprint,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// Resource version; grows with every write to the cluster's store.
    pub version: u64,
}

impl Live {
    /// The object; `None` when it is absent or its kind has not been read.
    pub fn get(&self, key: &ObjectKey) -> Option<&LiveObject> {
        self.objects.get(key).or_else(|| {
            self.objects
                .iter()
                .find(|(other, _)| other.same_object(key))
                .map(|(_, live)| live)
        })
    }

    /// True when this object has been read, or all of its kind in its namespace.
    pub fn knows(&self, key: &ObjectKey) -> bool {
        let all = (key.group.clone(), key.kind.clone(), key.namespace.clone());
        self.named.contains(key) || self.read.contains(&all)
    }
}

//! Own writes that the watches have not shown yet.
//!
//! Without this a reconcile right after a write would take the old picture for somebody's interference.

use std::collections::BTreeMap;

use gloonet_plan::{Fingerprint, Live, LiveObject, ObjectKey};
use jiff::{SignedDuration, Timestamp};

/// A watch that has not shown a write after this time never will: somebody wrote or deleted after us.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

#[derive(Clone, Debug)]
struct Write {
    at: Timestamp,
    object: LiveObject,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    writes: BTreeMap<ObjectKey, Write>,
}

impl Written {
    pub(super) fn wrote(
        &mut self,
        key: &ObjectKey,
        uid: &str,
        content: &Fingerprint,
        version: u64,
        at: Timestamp,
    ) {
        let object = LiveObject {
            uid: uid.to_owned(),
            fingerprint: content.clone(),
            deleting: false,
            version,
        };
        self.writes.insert(key.clone(), Write { at, object });
    }

    pub(super) fn deleted(&mut self, key: &ObjectKey, uid: &str, at: Timestamp) {
        let object = LiveObject {
            uid: uid.to_owned(),
            fingerprint: super::secret_mark(),
            deleting: true,
            version: u64::MAX,
        };
        self.writes.insert(key.clone(), Write { at, object });
    }

    /// What was written and not shown by the last [`Self::over`], or after it.
    pub(super) fn unseen(&self) -> impl Iterator<Item = &ObjectKey> {
        let writes = self.writes.iter();
        writes
            .filter(|(_, write)| !write.object.deleting)
            .map(|(key, _)| key)
    }

    /// `live` with the writes it lacks. A write that it shows is forgotten.
    pub(super) fn over(&mut self, mut live: Live, now: Timestamp) -> Live {
        self.writes.retain(|key, write| {
            let shown = match live.objects.get(key) {
                Some(found) => {
                    found.version >= write.object.version
                        || found.deleting
                        || found.uid != write.object.uid
                }
                None => write.object.deleting,
            };
            !shown && now.duration_since(write.at) < PATIENCE
        });
        for (key, write) in &self.writes {
            live.objects.insert(key.clone(), write.object.clone());
        }
        live
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn shown(version: u64) -> Live {
        let object = LiveObject {
            uid: "u".to_owned(),
            fingerprint: Fingerprint::of(&json!("old")),
            deleting: false,
            version,
        };
        Live {
            objects: [(ObjectKey::secret("a", "b"), object)].into(),
            ..Live::default()
        }
    }

    fn after_write() -> (Written, Fingerprint) {
        let (mut written, new) = (Written::default(), Fingerprint::of(&json!("new")));
        written.wrote(&ObjectKey::secret("a", "b"), "u", &new, 7, at(0));
        (written, new)
    }

    #[test]
    fn an_old_picture_is_replaced_by_the_own_write_and_a_newer_one_is_believed() {
        let (mut written, new) = after_write();
        let key = ObjectKey::secret("a", "b");
        assert_eq!(written.over(shown(6), at(1)).objects[&key].fingerprint, new);
        assert_eq!(written.unseen().collect::<Vec<_>>(), [&key]);
        assert_ne!(written.over(shown(8), at(1)).objects[&key].fingerprint, new);
        assert_eq!(written.unseen().count(), 0);
        assert_ne!(
            written.over(shown(6), at(1)).objects[&key].fingerprint,
            new,
            "a write that was shown is forgotten"
        );
    }

    #[test]
    fn a_created_object_counts_as_there_until_patience_ends() {
        let (mut written, _) = after_write();
        assert_eq!(written.over(Live::default(), at(9)).objects.len(), 1);
        assert_eq!(written.over(Live::default(), at(10)).objects.len(), 0);
    }

    #[test]
    fn a_deleted_object_counts_as_going_until_it_is_gone() {
        let (mut written, key) = (Written::default(), ObjectKey::secret("a", "b"));
        written.deleted(&key, "u", at(0));
        assert!(written.over(shown(8), at(1)).objects[&key].deleting);
        assert_eq!(written.unseen().count(), 0, "what goes is measured no more");
        assert!(written.over(Live::default(), at(1)).objects.is_empty());
    }
}

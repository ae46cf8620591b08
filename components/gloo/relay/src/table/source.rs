//! What one side wants the other to have.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::Changes;
use crate::{digest::Digest, key::ObjectKey};

/// The largest object that is replicated. etcd takes none above 1.5 MiB.
pub const OBJECT_BYTES: usize = 2 << 20;

/// Deletions remembered at least. Who is behind by more starts over.
const TOMBSTONES: usize = 1024;

#[derive(Clone, Debug)]
struct Entry {
    bytes: Bytes,
    digest: Digest,
    revision: u64,
}

/// Objects by key, with the order they changed in. Memory is that of the objects and twice their keys.
#[derive(Clone, Debug, Default)]
pub struct Source {
    objects: BTreeMap<ObjectKey, Entry>,
    /// Last change of each key that is, or was, there.
    changed: BTreeMap<u64, ObjectKey>,
    gone: HashMap<ObjectKey, u64>,
    digest: Digest,
    bytes: usize,
    revision: u64,
    /// Changes up to this revision may have been forgotten.
    floor: u64,
}

impl Source {
    /// Whether that changed anything. An object above [`OBJECT_BYTES`] is none to replicate: the caller reports it and leaves
    /// it out; here it counts as removed.
    pub fn set(&mut self, key: ObjectKey, bytes: Bytes) -> bool {
        if bytes.len() > OBJECT_BYTES {
            return self.remove(&key);
        }
        if self.objects.get(&key).is_some_and(|old| old.bytes == bytes) {
            return false;
        }
        self.forget(&key);
        let digest = Digest::of(&key, &bytes);
        self.revision += 1;
        self.digest.add(digest);
        self.bytes += bytes.len();
        self.changed.insert(self.revision, key.clone());
        let revision = self.revision;
        self.objects.insert(
            key,
            Entry {
                bytes,
                digest,
                revision,
            },
        );
        true
    }

    /// Whether it was there.
    pub fn remove(&mut self, key: &ObjectKey) -> bool {
        if !self.objects.contains_key(key) {
            return false;
        }
        self.forget(key);
        self.revision += 1;
        self.changed.insert(self.revision, key.clone());
        self.gone.insert(key.clone(), self.revision);
        self.compact();
        true
    }

    /// Takes out all traces of the key.
    fn forget(&mut self, key: &ObjectKey) {
        if let Some(old) = self.objects.remove(key) {
            self.digest.remove(old.digest);
            self.bytes -= old.bytes.len();
            self.changed.remove(&old.revision);
        }
        if let Some(revision) = self.gone.remove(key) {
            self.changed.remove(&revision);
        }
    }

    fn compact(&mut self) {
        if self.gone.len() <= TOMBSTONES.max(self.objects.len()) {
            return;
        }
        for revision in self.gone.drain().map(|(_, revision)| revision) {
            self.changed.remove(&revision);
        }
        self.floor = self.revision;
    }

    pub fn get(&self, key: &ObjectKey) -> Option<&Bytes> {
        self.objects.get(key).map(|entry| &entry.bytes)
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Bytes of all objects, without their keys.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Bytes)> {
        self.objects.iter().map(|(key, entry)| (key, &entry.bytes))
    }

    /// Rises with every change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether all changes after `revision` are known.
    pub(super) fn remembers(&self, revision: u64) -> bool {
        revision >= self.floor && revision <= self.revision
    }

    /// Objects after `key`, up to about `budget` bytes, and the last key of them; `true` when there are no more.
    pub(super) fn page(&self, after: Option<&ObjectKey>, budget: usize) -> (Changes, bool) {
        use std::ops::Bound::{Excluded, Unbounded};
        let mut page = Changes::default();
        let mut room = budget;
        for (key, entry) in self
            .objects
            .range((after.map_or(Unbounded, Excluded), Unbounded))
        {
            let Some(left) = take(room, budget, key, entry.bytes.len()) else {
                return (page, false);
            };
            room = left;
            page.upserts.push((key.clone(), entry.bytes.clone()));
        }
        (page, true)
    }

    /// What changed after `revision`, up to about `budget` bytes, and the revision it goes up to.
    pub(super) fn since(&self, revision: u64, budget: usize) -> (Changes, u64) {
        let mut page = Changes::default();
        let (mut room, mut reached) = (budget, revision);
        for (revision, key) in self.changed.range(revision + 1..) {
            let entry = self.objects.get(key);
            let length = entry.map_or(0, |entry| entry.bytes.len());
            let Some(left) = take(room, budget, key, length) else {
                return (page, reached);
            };
            (room, reached) = (left, *revision);
            match entry {
                Some(entry) => page.upserts.push((key.clone(), entry.bytes.clone())),
                None => page.deletes.push(key.clone()),
            }
        }
        (page, self.revision)
    }
}

/// Room left after an object. The first fits always, else a large one would never leave.
fn take(room: usize, budget: usize, key: &ObjectKey, length: usize) -> Option<usize> {
    let cost = length + key.parts().iter().map(|part| part.len()).sum::<usize>() + 24;
    if room == budget {
        Some(room.saturating_sub(cost).min(budget - 1))
    } else {
        room.checked_sub(cost)
    }
}

//! Objects, and sums over them that are kept up with every change.

use bytes::Bytes;

use super::{Objects, room::Weigh};
use crate::{digest::Digest, key::ObjectKey};

/// Objects with what is counted of them.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) objects: Objects,
    pub(super) digest: Digest,
    pub(super) bytes: usize,
    /// Memory they cost.
    pub(super) weight: usize,
    weigh: Weigh,
}

impl Set {
    pub(super) fn new(weigh: Weigh) -> Self {
        Self {
            objects: Objects::new(),
            digest: Digest::default(),
            bytes: 0,
            weight: 0,
            weigh,
        }
    }

    /// An empty one that is weighed the same way.
    pub(super) fn like(&self) -> Self {
        Self::new(self.weigh)
    }

    pub(super) fn weigh(&self, key: &ObjectKey, bytes: &[u8]) -> usize {
        (self.weigh)(key, bytes)
    }

    pub(super) fn put(&mut self, key: ObjectKey, bytes: Bytes) {
        self.take(&key);
        self.digest.add(Digest::of(&key, &bytes));
        self.bytes += bytes.len();
        self.weight += self.weigh(&key, &bytes);
        self.objects.insert(key, bytes);
    }

    pub(super) fn take(&mut self, key: &ObjectKey) -> Option<Bytes> {
        let old = self.objects.remove(key)?;
        self.digest.remove(Digest::of(key, &old));
        self.bytes -= old.len();
        self.weight -= self.weigh(key, &old);
        Some(old)
    }

    /// What an object costs beside what is here: nothing if it is here already, and then the copy is let go of.
    pub(super) fn share(&self, key: &ObjectKey, bytes: Bytes) -> (Bytes, usize) {
        match self.objects.get(key) {
            Some(here) if *here == bytes => (here.clone(), 0),
            _ => {
                let weight = self.weigh(key, &bytes);
                (bytes, weight)
            }
        }
    }
}

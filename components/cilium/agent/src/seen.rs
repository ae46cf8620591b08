//! What changed in one kind since the last look. Objects that did not change are the same allocation, so nothing is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use kube::Resource;
use serde::de::DeserializeOwned;

use crate::watch::{Cache, Key};

/// The objects of one kind as they were at the last look.
#[derive(Debug)]
pub struct Seen<K> {
    objects: BTreeMap<Key, Arc<K>>,
    /// In the cache's journal, when it was looked at.
    position: Option<u64>,
}

/// What is new or different, and what is gone.
#[derive(Debug)]
pub struct Changed<K> {
    pub put: Vec<(Key, Arc<K>)>,
    pub gone: Vec<Key>,
}

impl<K> Default for Seen<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            position: None,
        }
    }
}

impl<K> Changed<K> {
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.gone.is_empty()
    }
}

impl<K> Seen<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Looks at what changed in a cache since the last look, however much is in it.
    pub fn follow(&mut self, cache: &Cache<K>) -> Changed<K> {
        cache.look(|objects, journal| {
            let changed = self.position.and_then(|position| journal.since(position));
            self.position = Some(journal.end());
            match changed {
                Some(keys) => self.look_at(keys.collect(), objects),
                None => self.look(objects, |_| false),
            }
        })
    }
}

impl<K> Seen<K> {
    /// Compares with the last look and remembers this one. What is gone and `held` stays remembered, to be asked for again.
    pub fn look(&mut self, now: &BTreeMap<Key, Arc<K>>, held: impl Fn(&Key) -> bool) -> Changed<K> {
        let is_new = |(key, object): &(&Key, &Arc<K>)| {
            let known = self.objects.get(*key);
            known.is_none_or(|known| !Arc::ptr_eq(known, object))
        };
        let put: Vec<_> = now
            .iter()
            .filter(is_new)
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect();
        let gone = |key: &&Key| !now.contains_key(*key) && !held(key);
        let gone: Vec<Key> = self.objects.keys().filter(gone).cloned().collect();
        for key in &gone {
            self.objects.remove(key);
        }
        self.objects.extend(put.iter().cloned());
        Changed { put, gone }
    }

    /// As [`Self::look`], at some.
    fn look_at(&mut self, keys: BTreeSet<&Key>, now: &BTreeMap<Key, Arc<K>>) -> Changed<K> {
        let (mut put, mut gone) = (Vec::new(), Vec::new());
        for key in keys {
            match now.get(key) {
                Some(object) => {
                    let known = self.objects.insert(key.clone(), object.clone());
                    if known.is_none_or(|known| !Arc::ptr_eq(&known, object)) {
                        put.push((key.clone(), object.clone()));
                    }
                }
                None => {
                    gone.extend(self.objects.remove_entry(key).map(|(key, _)| key));
                }
            }
        }
        Changed { put, gone }
    }

    /// An object as it was at the last look.
    pub fn get(&self, key: &Key) -> Option<&Arc<K>> {
        self.objects.get(key)
    }

    /// All of them.
    pub fn objects(&self) -> &BTreeMap<Key, Arc<K>> {
        &self.objects
    }
}

/// What was seen by somebody else; a cache's journal knows nothing of it.
impl<K> FromIterator<(Key, Arc<K>)> for Seen<K> {
    fn from_iter<I: IntoIterator<Item = (Key, Arc<K>)>>(objects: I) -> Self {
        Self {
            objects: objects.into_iter().collect(),
            position: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        ("shop".to_owned(), name.to_owned())
    }

    #[test]
    fn an_object_is_told_of_once_and_its_end_once() {
        let mut seen = Seen::default();
        let object = Arc::new(1);
        let now = BTreeMap::from([(key("a"), object)]);
        assert_eq!(seen.look(&now, |_| false).put.len(), 1);
        assert!(seen.look(&now, |_| false).is_empty());
        assert_eq!(seen.look(&BTreeMap::new(), |_| false).gone, [key("a")]);
        assert!(seen.look(&BTreeMap::new(), |_| false).is_empty());
    }

    #[test]
    fn what_is_held_ends_when_it_is_held_no_more() {
        let mut seen = Seen::default();
        seen.look(&BTreeMap::from([(key("a"), Arc::new(1))]), |_| false);
        assert!(seen.look(&BTreeMap::new(), |_| true).is_empty());
        assert_eq!(seen.look(&BTreeMap::new(), |_| false).gone, [key("a")]);
    }
}

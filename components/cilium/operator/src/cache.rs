//! What one watch has seen: objects by name, whether the first list is complete, and what could not be read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{Resource, runtime::watcher::Event};
use tokio::sync::watch;

use crate::seen::{Seen, Unreadable};

/// Namespace (empty for cluster-scoped kinds) and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace, empty for cluster-scoped kinds.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// Key of a cluster-scoped object.
    pub fn cluster(name: &str) -> Self {
        Self {
            namespace: String::new(),
            name: name.to_owned(),
        }
    }

    fn of<K: Resource>(seen: &Seen<K>) -> Self {
        Self {
            namespace: seen.metadata.namespace.clone().unwrap_or_default(),
            name: seen.metadata.name.clone().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// State of a cache at one moment.
#[derive(Debug)]
pub struct Snapshot<K> {
    /// Objects that could be read.
    pub objects: BTreeMap<Key, Arc<K>>,
    /// Objects that could not.
    pub unreadable: BTreeMap<Key, Arc<Unreadable>>,
    /// Whether the first list is complete. What is missing from an unsynced snapshot may exist.
    pub synced: bool,
}

impl<K> Clone for Snapshot<K> {
    fn clone(&self) -> Self {
        Self {
            objects: self.objects.clone(),
            unreadable: self.unreadable.clone(),
            synced: self.synced,
        }
    }
}

impl<K> Default for Snapshot<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            synced: false,
        }
    }
}

impl<K> Snapshot<K> {
    /// Whether everything that exists is here and readable: the only ground for calling something unused.
    pub fn complete(&self) -> bool {
        self.synced && self.unreadable.is_empty()
    }
}

#[derive(Debug)]
struct State<K> {
    now: Snapshot<K>,
    /// The list under way; replaces `now` when it is complete.
    next: Option<Snapshot<K>>,
}

/// Objects of one kind, written by its watch and read by controllers.
#[derive(Debug)]
pub struct Cache<K> {
    state: Mutex<State<K>>,
    generation: watch::Sender<u64>,
    trim: fn(&mut K),
}

impl<K: Resource> Cache<K> {
    /// An empty cache; `trim` drops what no controller reads before an object is kept.
    pub fn new(trim: fn(&mut K)) -> Self {
        let state = State {
            now: Snapshot::default(),
            next: None,
        };
        Self {
            state: Mutex::new(state),
            generation: watch::Sender::new(0),
            trim,
        }
    }

    /// Changes whenever the cache does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// The state now.
    pub fn snapshot(&self) -> Snapshot<K> {
        self.lock().now.clone()
    }

    /// How many objects cannot be read now. A snapshot for each event would be a copy of everything for each.
    pub fn unreadable(&self) -> usize {
        self.lock().now.unreadable.len()
    }

    /// Takes in one event; the reason when its object could not be read.
    pub fn take(&self, event: Event<Seen<K>>) -> Option<(Key, String)> {
        let mut state = self.lock();
        let unreadable = match event {
            Event::Init => {
                state.next = Some(Snapshot::default());
                return None;
            }
            Event::InitApply(seen) => return self.put(state.next.get_or_insert_default(), seen),
            Event::InitDone => {
                state.now = Snapshot {
                    synced: true,
                    ..state.next.take().unwrap_or_default()
                };
                None
            }
            Event::Apply(seen) => self.put(&mut state.now, seen),
            Event::Delete(seen) => {
                let key = Key::of(&seen);
                state.now.objects.remove(&key);
                state.now.unreadable.remove(&key);
                None
            }
        };
        drop(state);
        self.generation.send_modify(|g| *g += 1);
        unreadable
    }

    fn put(&self, snapshot: &mut Snapshot<K>, seen: Seen<K>) -> Option<(Key, String)> {
        let key = Key::of(&seen);
        match seen.body {
            Ok(mut object) => {
                (self.trim)(&mut object);
                snapshot.unreadable.remove(&key);
                snapshot.objects.insert(key, Arc::new(object));
                None
            }
            Err(unreadable) => {
                let error = unreadable.error.clone();
                snapshot.objects.remove(&key);
                snapshot
                    .unreadable
                    .insert(key.clone(), Arc::new(unreadable));
                Some((key, error))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // Every writer leaves the maps whole, so a panic elsewhere while holding the lock does no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use cilium_api::CiliumNode;

    use super::*;

    fn node(name: &str) -> Seen<CiliumNode> {
        serde_json::from_value(serde_json::json!({"metadata": {"name": name}, "spec": {}})).unwrap()
    }

    fn broken(name: &str) -> Seen<CiliumNode> {
        serde_json::from_value(serde_json::json!({"metadata": {"name": name}, "spec": 1})).unwrap()
    }

    fn names(cache: &Cache<CiliumNode>) -> Vec<String> {
        cache
            .snapshot()
            .objects
            .keys()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn nothing_counts_as_known_before_the_first_list_is_complete() {
        let cache = Cache::new(|_| {});
        cache.take(Event::Init);
        cache.take(Event::InitApply(node("a")));
        assert!(!cache.snapshot().synced);
        assert!(names(&cache).is_empty());
        cache.take(Event::InitDone);
        assert!(cache.snapshot().complete());
        assert_eq!(names(&cache), ["a"]);
    }

    #[test]
    fn a_relist_forgets_what_was_deleted_meanwhile_and_only_at_its_end() {
        let cache = Cache::new(|_| {});
        for event in [
            Event::Init,
            Event::InitApply(node("a")),
            Event::InitDone,
            Event::Init,
            Event::InitApply(node("b")),
        ] {
            cache.take(event);
        }
        assert_eq!(names(&cache), ["a"]);
        cache.take(Event::InitDone);
        assert_eq!(names(&cache), ["b"]);
    }

    #[test]
    fn an_unreadable_object_is_reported_and_its_neighbours_are_served() {
        let cache = Cache::new(|_| {});
        let reports: Vec<_> = [
            Event::Init,
            Event::InitApply(node("a")),
            Event::InitApply(broken("b")),
            Event::InitDone,
        ]
        .into_iter()
        .filter_map(|e| cache.take(e))
        .map(|(key, _)| key.name)
        .collect();
        assert_eq!(reports, ["b"]);
        assert_eq!(names(&cache), ["a"]);
        assert!(!cache.snapshot().complete());
        cache.take(Event::Apply(node("b")));
        assert!(cache.snapshot().complete());
    }

    #[test]
    fn a_deleted_object_is_gone_and_readers_are_woken() {
        let cache = Cache::new(|_| {});
        let changes = cache.changes();
        cache.take(Event::Apply(node("a")));
        cache.take(Event::Delete(node("a")));
        assert!(names(&cache).is_empty());
        assert!(changes.has_changed().unwrap());
    }
}

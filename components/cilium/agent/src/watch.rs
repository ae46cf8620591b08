//! What the API server says, kept in memory: one independent watch per kind.
//!
//! A watch that breaks starts again by itself, with growing pauses; meanwhile readers see what was last known. An object
//! that cannot be decoded is reported once and skipped, and its last good version stays.

mod journal;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::StreamExt as _;
use gloonet_daemon::watching::{Pauses, QUIET, interrupted};
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, Event};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use self::journal::Journal;
use crate::bell::Bells;

/// Namespace (empty for cluster-wide kinds) and name.
pub type Key = (String, String);

#[derive(Debug)]
struct Known<K> {
    objects: BTreeMap<Key, Arc<K>>,
    journal: Journal,
    /// Keys seen in the listing under way.
    listed: BTreeSet<Key>,
    /// The newest version of each object that could not be decoded, to report it once.
    undecodable: BTreeMap<Key, String>,
    /// Why the watch failed last, and when.
    trouble: Option<(Instant, String)>,
}

/// How many events of each sort came.
#[derive(Debug, Default)]
pub struct Seen {
    pub created: AtomicU64,
    pub updated: AtomicU64,
    /// Those that were here in the same version, as after a listing anew.
    pub repeated: AtomicU64,
    pub deleted: AtomicU64,
    pub undecodable: AtomicU64,
}

impl Seen {
    fn put<K: Resource>(&self, before: Option<&K>, now: &K) -> Put {
        let now = now.meta().resource_version.as_ref();
        let (counter, put) = match before.map(|before| before.meta().resource_version.as_ref()) {
            None => (&self.created, Put::Changed),
            Some(before) if before.is_some() && before == now => (&self.repeated, Put::Repeated),
            Some(_) => (&self.updated, Put::Changed),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        put
    }
}

/// Whether an object is new in what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    Changed,
    Repeated,
}

#[derive(Debug)]
pub struct Cache<K> {
    known: Mutex<Known<K>>,
    synced: AtomicBool,
    version: AtomicU64,
    /// When the oldest change came that [`Self::taken`] was not asked about yet.
    waiting_since: Mutex<Option<Instant>>,
    pub seen: Seen,
    bells: Bells,
    trim: fn(&mut K),
}

impl<K> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Empty until [`Self::follow`] runs; `bells` ring after every change.
    pub fn new(bells: Bells) -> Arc<Self> {
        Self::trimmed(bells, |_| {})
    }

    /// As [`Self::new`]; `trim` takes from each object what nobody here reads.
    pub fn trimmed(bells: Bells, trim: fn(&mut K)) -> Arc<Self> {
        Arc::new(Self {
            known: Mutex::new(Known {
                objects: BTreeMap::new(),
                journal: Journal::default(),
                listed: BTreeSet::new(),
                undecodable: BTreeMap::new(),
                trouble: None,
            }),
            synced: AtomicBool::new(false),
            version: AtomicU64::new(0),
            waiting_since: Mutex::new(None),
            seen: Seen::default(),
            bells,
            trim,
        })
    }

    /// Runs until it is dropped.
    pub async fn follow(self: Arc<Self>, api: Api<DeserializeGuard<K>>, config: Config) {
        let watch = watcher::watcher(api, config).backoff(Pauses::default());
        let mut events = std::pin::pin!(watch);
        while let Some(event) = events.next().await {
            self.take(event);
        }
    }

    pub fn list(&self) -> Vec<Arc<K>> {
        self.lock().objects.values().cloned().collect()
    }

    /// Those of one namespace.
    pub fn of_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        of_namespace(&self.lock().objects, namespace)
    }

    /// Looks at all objects under their names, and at which of them changed of late; changes wait meanwhile.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&BTreeMap<Key, Arc<K>>, &Journal) -> T) -> T {
        let known = self.lock();
        look(&known.objects, &known.journal)
    }

    /// All objects under their names, in order.
    pub fn entries(&self) -> BTreeMap<Key, Arc<K>> {
        self.lock().objects.clone()
    }

    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let key = (namespace.to_owned(), name.to_owned());
        self.lock().objects.get(&key).cloned()
    }

    /// Since when changes have waited to be looked at; from now on they have been.
    pub fn taken(&self) -> Option<Instant> {
        self.waiting_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Grows with every change, for readers that keep what they made of the objects.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether a whole listing has been seen. Before that nothing may be deleted because it is not here.
    pub fn synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    /// Why the watch is interrupted now, if it is.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble_now().map(str::to_owned)
    }

    pub(crate) fn take(&self, event: Result<Event<DeserializeGuard<K>>, watcher::Error>) {
        let mut known = self.lock();
        match event {
            Err(error) => {
                if known.trouble_now().is_none() {
                    interrupted(&K::kind(&()), &error);
                }
                known.trouble = Some((Instant::now(), error.to_string()));
                return;
            }
            Ok(Event::Init) => {
                known.listed.clear();
                return;
            }
            Ok(Event::InitApply(object)) => {
                let key = key(&object);
                known.listed.insert(key);
                self.put(&mut known, object);
                return;
            }
            Ok(Event::InitDone) => {
                let Known {
                    objects,
                    journal,
                    listed,
                    ..
                } = &mut *known;
                let before = objects.len();
                objects.retain(|key, _| listed.contains(key));
                let gone = before - objects.len();
                self.seen.deleted.fetch_add(gone as u64, Ordering::Relaxed);
                journal.forget();
                listed.clear();
                known.recovered::<K>();
                self.synced.store(true, Ordering::Release);
            }
            Ok(Event::Apply(object)) => {
                known.recovered::<K>();
                self.put(&mut known, object);
            }
            Ok(Event::Delete(object)) => {
                known.recovered::<K>();
                let key = key(&object);
                known.objects.remove(&key);
                known.journal.note(key);
                self.seen.deleted.fetch_add(1, Ordering::Relaxed);
            }
        }
        drop(known);
        self.version.fetch_add(1, Ordering::Release);
        self.waiting_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(Instant::now);
        self.bells.ring();
    }

    fn put(&self, known: &mut Known<K>, object: DeserializeGuard<K>) {
        let key = key(&object);
        match object.0 {
            Ok(mut object) => {
                // The largest part of most objects, and of no use here.
                object.meta_mut().managed_fields = None;
                (self.trim)(&mut object);
                known.undecodable.remove(&key);
                let before = known.objects.get(&key);
                // Whoever compares with what it had before must not take a listing anew for a change of everything.
                if self.seen.put(before.map(AsRef::as_ref), &object) == Put::Repeated {
                    return;
                }
                known.objects.insert(key.clone(), Arc::new(object));
                known.journal.note(key);
            }
            Err(invalid) => {
                let version = invalid.metadata.resource_version.unwrap_or_default();
                if known.undecodable.insert(key.clone(), version.clone()) != Some(version) {
                    tracing::warn!(
                        kind = %K::kind(&()), namespace = key.0, name = key.1, error = invalid.error,
                        "Object cannot be decoded and is skipped; its last good version stays in force"
                    );
                    self.seen.undecodable.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known<K>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those of one namespace, by name.
pub(crate) fn of_namespace<K>(objects: &BTreeMap<Key, Arc<K>>, namespace: &str) -> Vec<Arc<K>> {
    let first = (namespace.to_owned(), String::new());
    let from = objects.range(first..);
    from.take_while(|((other, _), _)| other == namespace)
        .map(|(_, object)| object.clone())
        .collect()
}

impl<K> Known<K> {
    fn trouble_now(&self) -> Option<&str> {
        let (last, why) = self.trouble.as_ref()?;
        (last.elapsed() <= QUIET).then_some(why.as_str())
    }

    fn recovered<R: Resource<DynamicType = ()>>(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!(kind = %R::kind(&()), "Watch is running again");
        }
    }
}

fn key<K: Resource<DynamicType = ()>>(object: &DeserializeGuard<K>) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use serde_json::{Value, json};

    use super::*;

    fn object(name: &str, version: &str, ports: Value) -> DeserializeGuard<Service> {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": name, "resourceVersion": version},
            "spec": {"ports": ports},
        }))
        .unwrap()
    }

    fn good(name: &str) -> DeserializeGuard<Service> {
        object(name, "1", json!([{"port": 80}]))
    }

    fn bad(name: &str) -> DeserializeGuard<Service> {
        object(name, "2", json!("no list"))
    }

    fn names(cache: &Cache<Service>) -> Vec<String> {
        cache
            .list()
            .iter()
            .map(|service| service.name_any())
            .collect()
    }

    #[test]
    fn what_came_is_counted_as_new_as_changed_and_as_the_same_again() {
        let cache = Cache::<Service>::new(Bells::default());
        let changed = object("a", "3", json!([{"port": 81}]));
        for event in [
            Event::Apply(good("a")),
            Event::Apply(changed),
            Event::InitApply(object("a", "3", json!([{"port": 81}]))),
            Event::Apply(good("b")),
            Event::Delete(good("a")),
            Event::Apply(bad("x")),
        ] {
            cache.take(Ok(event));
        }
        let seen = &cache.seen;
        let counts = [
            &seen.created,
            &seen.updated,
            &seen.repeated,
            &seen.deleted,
            &seen.undecodable,
        ];
        assert_eq!(
            counts.map(|count| count.load(Ordering::Relaxed)),
            [2, 1, 1, 1, 1]
        );
    }

    #[test]
    fn a_listing_anew_changes_nothing_that_is_as_it_was_and_counts_what_is_gone() {
        let cache = Cache::<Service>::new(Bells::default());
        cache.take(Ok(Event::Apply(good("a"))));
        cache.take(Ok(Event::Apply(good("b"))));
        let before = cache.list();
        for event in [Event::Init, Event::InitApply(good("a")), Event::InitDone] {
            cache.take(Ok(event));
        }
        let after = cache.list();
        assert_eq!(after.len(), 1);
        assert!(Arc::ptr_eq(&before[0], &after[0]));
        assert_eq!(cache.seen.deleted.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn nothing_counts_as_synced_before_a_whole_listing() {
        let cache = Cache::<Service>::new(Bells::default());
        cache.take(Ok(Event::Init));
        cache.take(Ok(Event::InitApply(good("a"))));
        assert!(!cache.synced());
        cache.take(Ok(Event::InitDone));
        assert!(cache.synced());
    }

    #[test]
    fn a_new_listing_forgets_what_it_does_not_hold_and_not_before_it_is_complete() {
        let cache = Cache::<Service>::new(Bells::default());
        for event in [
            Event::Init,
            Event::InitApply(good("a")),
            Event::InitApply(good("b")),
            Event::InitDone,
        ] {
            cache.take(Ok(event));
        }
        cache.take(Ok(Event::Init));
        cache.take(Ok(Event::InitApply(good("b"))));
        assert_eq!(names(&cache), ["a", "b"]);
        cache.take(Ok(Event::InitDone));
        assert_eq!(names(&cache), ["b"]);
    }

    #[test]
    fn an_object_that_cannot_be_decoded_costs_nobody_else_and_keeps_its_last_good_version() {
        let cache = Cache::<Service>::new(Bells::default());
        for event in [
            Event::Init,
            Event::InitApply(good("a")),
            Event::InitApply(bad("x")),
            Event::InitDone,
        ] {
            cache.take(Ok(event));
        }
        assert_eq!(names(&cache), ["a"]);
        cache.take(Ok(Event::Apply(bad("a"))));
        cache.take(Ok(Event::Apply(good("b"))));
        assert_eq!(names(&cache), ["a", "b"]);
        for event in [Event::Init, Event::InitApply(bad("a")), Event::InitDone] {
            cache.take(Ok(event));
        }
        assert_eq!(names(&cache), ["a"]);
        assert_eq!(cache.seen.undecodable.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_interrupted_watch_keeps_what_is_known_and_says_why() {
        let cache = Cache::<Service>::new(Bells::default());
        for event in [Event::Init, Event::InitApply(good("a")), Event::InitDone] {
            cache.take(Ok(event));
        }
        cache.take(Err(watcher::Error::NoResourceVersion));
        assert!(cache.trouble().is_some());
        assert_eq!(names(&cache), ["a"]);
        cache.take(Ok(Event::Apply(good("b"))));
        assert_eq!(cache.trouble(), None);
    }

    #[test]
    fn a_watch_that_stumbled_and_says_nothing_more_is_interrupted_no_longer() {
        let cache = Cache::<Service>::new(Bells::default());
        cache.take(Err(watcher::Error::NoResourceVersion));
        let failed = |ago| {
            let last = Instant::now().checked_sub(ago).unwrap();
            cache.lock().trouble.as_mut().unwrap().0 = last;
        };
        failed(QUIET / 2);
        assert!(cache.trouble().is_some());
        failed(QUIET * 2);
        assert_eq!(cache.trouble(), None);
    }
}

//! What was observed, ready to be sent, and what the plan needs of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use gloo_relay::{
    key::ObjectKey,
    table::{OBJECT_BYTES, Source},
};
use kube::{api::DynamicObject, runtime::watcher::Event};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    admit::ours,
    discover,
    kinds::{self, Watched},
    plan::Found,
    strip::strip,
};

/// Policies of the cluster: ours by key, the others by namespace and name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies {
    pub found: BTreeMap<ObjectKey, Found>,
    pub local: BTreeMap<(String, String), Value>,
    /// UIDs of Gloo resources: one that was deleted and made again has no status.
    pub uids: BTreeMap<ObjectKey, String>,
}

#[derive(Debug, Default)]
struct State {
    /// Filled until the first list of every kind is complete, then handed over.
    staging: Source,
    /// Kinds whose first list is not complete.
    unlisted: BTreeSet<&'static str>,
    /// Keys of lists under way.
    lists: BTreeMap<&'static str, BTreeSet<ObjectKey>>,
    /// Keys of each kind.
    keys: BTreeMap<&'static str, BTreeSet<ObjectKey>>,
    policies: Policies,
}

/// Written by the watches.
#[derive(Debug)]
pub struct Observed {
    cluster: String,
    source: watch::Sender<Option<Source>>,
    changed: watch::Sender<u64>,
    state: Mutex<State>,
}

impl Observed {
    /// Of the cluster with this name; nothing is sent before each kind was listed.
    pub fn new(cluster: &str) -> Self {
        let state = State {
            unlisted: kinds::all().map(|watched| watched.plural).collect(),
            ..State::default()
        };
        Self {
            cluster: cluster.to_owned(),
            source: watch::Sender::new(None),
            changed: watch::Sender::new(0),
            state: Mutex::new(state),
        }
    }

    /// What goes to the server.
    pub fn source(&self) -> watch::Receiver<Option<Source>> {
        self.source.subscribe()
    }

    /// Changes with every policy and every Gloo resource of the cluster.
    pub fn policies_changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn policies(&self) -> Policies {
        self.lock().policies.clone()
    }

    /// Kinds whose first list is not complete.
    pub fn unlisted(&self) -> Vec<&'static str> {
        self.lock().unlisted.iter().copied().collect()
    }

    /// Takes in one event; the reason when its object is left out.
    pub fn take(&self, watched: &Watched, event: Event<DynamicObject>) -> Result<(), String> {
        let mut state = self.lock();
        let taken = match event {
            Event::Init => {
                state.lists.insert(watched.plural, BTreeSet::new());
                Ok(())
            }
            Event::InitApply(object) => self.put(&mut state, watched, &object).map(|key| {
                let list = state.lists.entry(watched.plural).or_default();
                list.extend(key);
            }),
            Event::Apply(object) => self.put(&mut state, watched, &object).map(drop),
            Event::InitDone => {
                self.listed(&mut state, watched);
                Ok(())
            }
            Event::Delete(object) => {
                if let Ok((key, _)) = stripped(watched, &object) {
                    self.remove(&mut state, watched, &key);
                }
                Ok(())
            }
        };
        drop(state);
        if *watched == kinds::POLICY || is_gloo(watched) {
            self.changed.send_modify(|changes| *changes += 1);
        }
        taken
    }

    fn put(
        &self,
        state: &mut State,
        watched: &Watched,
        object: &DynamicObject,
    ) -> Result<Option<ObjectKey>, String> {
        let (key, bytes) = stripped(watched, object)?;
        if *watched == kinds::POLICY {
            policy(&self.cluster, &mut state.policies, &key, object, &bytes);
        }
        if is_gloo(watched) {
            let uid = object.metadata.uid.clone().unwrap_or_default();
            state.policies.uids.insert(key.clone(), uid);
        }
        let keys = state.keys.entry(watched.plural).or_default();
        keys.insert(key.clone());
        let length = bytes.len();
        self.edit(state, |source| source.set(key.clone(), bytes));
        self.describe(state, watched);
        if length > OBJECT_BYTES {
            return Err(format!(
                "{key} has {length} bytes; {OBJECT_BYTES} are sent at most"
            ));
        }
        Ok(Some(key))
    }

    fn remove(&self, state: &mut State, watched: &Watched, key: &ObjectKey) {
        if *watched == kinds::POLICY {
            state.policies.found.remove(key);
            state.policies.local.remove(&place(key));
        }
        state.policies.uids.remove(key);
        if let Some(keys) = state.keys.get_mut(watched.plural) {
            keys.remove(key);
        }
        self.edit(state, |source| source.remove(key));
        self.describe(state, watched);
    }

    /// A list is complete: what it did not have is gone.
    fn listed(&self, state: &mut State, watched: &Watched) {
        let list = state.lists.remove(watched.plural).unwrap_or_default();
        let keys = state.keys.get(watched.plural).cloned().unwrap_or_default();
        for key in keys.difference(&list) {
            self.remove(state, watched, key);
        }
        if state.unlisted.remove(watched.plural) && state.unlisted.is_empty() {
            let mut source = std::mem::take(&mut state.staging);
            info(&mut source);
            self.source.send_replace(Some(source));
        }
    }

    fn edit(&self, state: &mut State, edit: impl FnOnce(&mut Source) -> bool) {
        if !state.unlisted.is_empty() {
            edit(&mut state.staging);
            return;
        }
        self.source
            .send_if_modified(|source| source.as_mut().is_some_and(edit));
    }

    fn describe(&self, state: &mut State, watched: &Watched) {
        if ["ConfigMap", "DaemonSet"].contains(&watched.kind) && state.unlisted.is_empty() {
            self.edit(state, info);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_gloo(watched: &Watched) -> bool {
    kinds::GLOO_KINDS.contains(watched)
}

fn stripped(
    watched: &Watched,
    object: &DynamicObject,
) -> Result<(ObjectKey, bytes::Bytes), String> {
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    strip(watched, &value).map_err(|error| error.to_string())
}

fn info(source: &mut Source) -> bool {
    let info = discover::describe(source, env!("CARGO_PKG_VERSION"));
    let (Ok(key), Ok(info)) = (discover::key(), info) else {
        return false;
    };
    source.set(key, info)
}

fn policy(
    cluster: &str,
    policies: &mut Policies,
    key: &ObjectKey,
    object: &DynamicObject,
    bytes: &[u8],
) {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    if ours(cluster, &value) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        policies.local.remove(&place(key));
        policies.found.insert(
            key.clone(),
            Found {
                uid: text(&object.metadata.uid),
                resource_version: text(&object.metadata.resource_version),
            },
        );
    } else {
        policies.found.remove(key);
        policies.local.insert(place(key), value);
    }
}

fn place(key: &ObjectKey) -> (String, String) {
    (key.namespace().to_owned(), key.name().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "shop", "resourceVersion": "1"},
        }))
        .unwrap()
    }

    fn list(observed: &Observed, watched: &Watched, objects: &[&str]) {
        observed.take(watched, Event::Init).unwrap();
        for name in objects {
            observed
                .take(watched, Event::InitApply(object(name)))
                .unwrap();
        }
        observed.take(watched, Event::InitDone).unwrap();
    }

    fn services(observed: &Observed) -> usize {
        let source = observed.source();
        let source = source.borrow();
        let all = source.as_ref().unwrap().iter();
        all.filter(|(key, _)| key.kind() == "Service").count()
    }

    #[test]
    fn nothing_is_sent_before_every_kind_was_listed() {
        let observed = Observed::new("west");
        let (last, first) = (kinds::all().last().unwrap(), kinds::all().count() - 1);
        for watched in kinds::all().take(first) {
            list(&observed, &watched, &["a"]);
        }
        assert!(observed.source().borrow().is_none());
        assert_eq!(observed.unlisted(), [last.plural]);
        list(&observed, &last, &[]);
        assert_eq!(services(&observed), 1);
    }

    #[test]
    fn what_a_later_list_does_not_have_is_gone_at_its_end_only() {
        let observed = Observed::new("west");
        kinds::all().for_each(|watched| list(&observed, &watched, &["a", "b"]));
        let service = kinds::all()
            .find(|watched| watched.kind == "Service")
            .unwrap();
        observed.take(&service, Event::Init).unwrap();
        observed
            .take(&service, Event::InitApply(object("a")))
            .unwrap();
        assert_eq!(services(&observed), 2);
        observed.take(&service, Event::InitDone).unwrap();
        assert_eq!(services(&observed), 1);
        observed.take(&service, Event::Delete(object("a"))).unwrap();
        assert_eq!(services(&observed), 0);
    }

    #[test]
    fn policies_are_told_apart_by_their_labels() {
        let observed = Observed::new("west");
        let mut policy = object("web");
        policy.metadata.labels =
            Some(serde_json::from_value(crate::admit::tests::labels()).unwrap());
        observed
            .take(&kinds::POLICY, Event::Apply(policy.clone()))
            .unwrap();
        observed
            .take(&kinds::POLICY, Event::Apply(object("floor")))
            .unwrap();
        let policies = observed.policies();
        assert_eq!((policies.found.len(), policies.local.len()), (1, 1));
        policy.metadata.labels = None;
        observed.take(&kinds::POLICY, Event::Apply(policy)).unwrap();
        assert_eq!(observed.policies().found.len(), 0);
    }
}

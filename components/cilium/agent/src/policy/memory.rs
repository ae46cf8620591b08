//! The policies of namespaces with pods here, in the state folder: a namespace's policies are deleted before its pods have ended
//! (CVE-2024-7598), and when no agent ran meanwhile, or ran until then, nothing else knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cilium_api::CiliumNetworkPolicy;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Resource;
use serde::{Deserialize, Serialize};

use crate::seen::Seen;
use crate::store::Store;
use crate::store::form::{Form, Step, as_it_is};
use crate::watch::{Key, of_namespace};

/// What the folder says.
#[derive(Debug, Default)]
pub(super) struct Memory {
    written: BTreeMap<String, OfNamespace>,
}

/// The policies of a namespace; in the same allocations as what was seen, so nothing is compared.
#[derive(Debug, Default)]
struct OfNamespace {
    network_policies: Vec<Arc<NetworkPolicy>>,
    policies: Vec<Arc<CiliumNetworkPolicy>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
struct File<N, C> {
    network_policies: Vec<N>,
    cilium_network_policies: Vec<C>,
}

impl<N, C> Form for File<N, C> {
    const STEPS: &'static [Step] = &[as_it_is];
}

impl Memory {
    /// What an earlier process wrote. In place of what cannot be read the next pass writes what is there now.
    pub(super) fn read(store: &Store) -> Self {
        let mut memory = Self::default();
        for (namespace, file) in store.policies::<File<NetworkPolicy, CiliumNetworkPolicy>>() {
            let all = OfNamespace {
                network_policies: file.network_policies.into_iter().map(Arc::new).collect(),
                policies: file
                    .cilium_network_policies
                    .into_iter()
                    .map(Arc::new)
                    .collect(),
            };
            memory.written.insert(namespace, all);
        }
        memory
    }

    /// As if they had been seen.
    pub(super) fn seen(&self) -> (Seen<NetworkPolicy>, Seen<CiliumNetworkPolicy>) {
        let all = || self.written.values();
        (
            all().flat_map(|of| keyed(&of.network_policies)).collect(),
            all().flat_map(|of| keyed(&of.policies)).collect(),
        )
    }

    /// Has the folder say what is known of these namespaces, and nothing of others. The answer are sentences about what could not be
    /// written; it is tried again.
    pub(super) fn follow(
        &mut self,
        store: &Store,
        namespaces: &BTreeSet<&str>,
        network_policies: &Seen<NetworkPolicy>,
        policies: &Seen<CiliumNetworkPolicy>,
    ) -> Vec<String> {
        let mut failures = Vec::new();
        let mut gone: BTreeSet<String> = self.written.keys().cloned().collect();
        for namespace in namespaces {
            let now = OfNamespace {
                network_policies: of_namespace(network_policies.objects(), namespace),
                policies: of_namespace(policies.objects(), namespace),
            };
            if now.is_empty() {
                continue;
            }
            gone.remove(*namespace);
            if self
                .written
                .get(*namespace)
                .is_some_and(|known| known.is(&now))
            {
                continue;
            }
            match store.write_policies(namespace, &now.file()) {
                Ok(()) => {
                    self.written.insert((*namespace).to_owned(), now);
                }
                Err(error) => failures.push(cilium_cni::error::chain(&error)),
            }
        }
        for namespace in gone {
            match store.remove_policies(&namespace) {
                Ok(()) => drop(self.written.remove(&namespace)),
                Err(error) => failures.push(cilium_cni::error::chain(&error)),
            }
        }
        failures
    }
}

impl OfNamespace {
    fn is_empty(&self) -> bool {
        self.network_policies.is_empty() && self.policies.is_empty()
    }

    fn is(&self, other: &Self) -> bool {
        same(&self.network_policies, &other.network_policies)
            && same(&self.policies, &other.policies)
    }

    fn file(&self) -> File<&NetworkPolicy, &CiliumNetworkPolicy> {
        File {
            network_policies: self.network_policies.iter().map(AsRef::as_ref).collect(),
            cilium_network_policies: self.policies.iter().map(AsRef::as_ref).collect(),
        }
    }
}

fn same<K>(a: &[Arc<K>], b: &[Arc<K>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}

fn keyed<K: Resource>(objects: &[Arc<K>]) -> impl Iterator<Item = (Key, Arc<K>)> + '_ {
    objects.iter().map(|object| {
        let meta = object.meta();
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        ((part(&meta.namespace), part(&meta.name)), object.clone())
    })
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt as _;
    use serde_json::json;

    use super::*;

    fn seen<K: Resource + serde::de::DeserializeOwned>(namespaces: &[&str]) -> Seen<K> {
        let object = |namespace: &&str| {
            let policy = json!({
                "metadata": {"namespace": namespace, "name": "only"},
                "spec": {"podSelector": {}, "what no schema knows": [1]},
            });
            Arc::new(serde_json::from_value(policy).unwrap())
        };
        let all: Vec<Arc<K>> = namespaces.iter().map(object).collect();
        keyed(&all).collect()
    }

    fn names<K: Resource>(seen: &Seen<K>) -> Vec<String> {
        let all = seen.objects().values();
        all.map(|object| object.namespace().unwrap_or_default())
            .collect()
    }

    #[test]
    fn both_kinds_come_back_as_they_were_of_the_namespaces_that_were_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (network, cilium) = (seen(&["bank", "shop"]), seen(&["shop", "shopping"]));
        let mut memory = Memory::default();
        let asked = BTreeSet::from(["shop", "empty"]);
        assert!(memory.follow(&store, &asked, &network, &cilium).is_empty());
        let (back, cilium_back) = Memory::read(&store).seen();
        assert_eq!(
            (names(&back), names(&cilium_back)),
            (vec!["shop".to_owned()], vec!["shop".to_owned()])
        );
        let key = ("shop".to_owned(), "only".to_owned());
        assert_eq!(back.get(&key), network.get(&key));
        assert_eq!(cilium_back.get(&key), cilium.get(&key));
        let none = BTreeSet::new();
        let mut again = Memory::read(&store);
        assert!(again.follow(&store, &none, &network, &cilium).is_empty());
        assert_eq!(names(&Memory::read(&store).seen().0), Vec::<String>::new());
    }

    #[test]
    fn a_file_of_another_version_or_one_that_cannot_be_read_costs_its_own_namespace_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let asked = BTreeSet::from(["bank", "shop"]);
        let (network, cilium) = (seen(&["bank", "shop"]), seen(&[]));
        Memory::default().follow(&store, &asked, &network, &cilium);
        let path = |name: &str| folder.path().join("policies").join(name);
        let file = std::fs::read_to_string(path("bank.json")).unwrap();
        let later = file.replace("\"version\": 1", "\"version\": 2");
        for other in [later.as_str(), "{"] {
            std::fs::write(path("bank.json"), other).unwrap();
            let mut memory = Memory::read(&store);
            assert_eq!(names(&memory.seen().0), ["shop"]);
            memory.follow(&store, &asked, &network, &cilium);
            let aside = std::fs::read_to_string(path("bank.aside")).unwrap();
            assert_eq!(aside, other);
        }
    }

    #[test]
    fn the_fixture_is_read_and_is_what_would_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let fixture = include_str!("../store/fixtures/v1/policies/shop.json");
        let path = folder.path().join("policies/shop.json");
        std::fs::write(&path, fixture).unwrap();
        let (network, cilium) = Memory::read(&store).seen();
        assert_eq!(
            (names(&network), names(&cilium)),
            (vec!["shop".to_owned()], vec!["shop".to_owned()])
        );
        let asked = BTreeSet::from(["shop"]);
        Memory::default().follow(&store, &asked, &network, &cilium);
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(json(&written), json(fixture));
    }

    #[test]
    fn what_could_not_be_written_is_told_and_written_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let asked = BTreeSet::from(["shop"]);
        let (network, cilium) = (seen(&["shop"]), seen(&[]));
        let mut memory = Memory::default();
        std::fs::remove_dir(folder.path().join("policies")).unwrap();
        let failures = memory.follow(&store, &asked, &network, &cilium);
        assert!(failures[0].contains("shop.json"), "{failures:?}");
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        assert!(memory.follow(&store, &asked, &network, &cilium).is_empty());
        assert_eq!(names(&Memory::read(&store).seen().0), ["shop"]);
    }
}

//! Which workspaces a namespace can belong to, and the other way round, without looking at all of them.

use std::collections::{BTreeMap, BTreeSet};

use gloo_api::{ClusterName, WorkspaceSpec};

use crate::world::{Slot, World};

/// Workspaces by the namespaces they can select.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    exact: BTreeMap<String, BTreeSet<String>>,
    patterned: BTreeSet<String>,
    /// Clusters that have a namespace of a name.
    clusters: BTreeMap<String, BTreeSet<ClusterName>>,
}

impl Reach {
    pub(crate) fn seen(&mut self, slot: &Slot) {
        let clusters = self.clusters.entry(slot.namespace.clone()).or_default();
        clusters.insert(slot.cluster.clone());
    }

    /// Exact names of the namespaces a workspace can select; `None` when only looking tells.
    fn names(spec: &WorkspaceSpec) -> Option<BTreeSet<&String>> {
        spec.workload_clusters
            .iter()
            .flat_map(|part| &part.namespaces)
            .map(|choice| choice.name.as_ref().filter(|name| !name.contains('*')))
            .collect()
    }

    pub(crate) fn add(&mut self, workspace: &str, spec: &WorkspaceSpec) {
        let Some(names) = Self::names(spec) else {
            self.patterned.insert(workspace.to_owned());
            return;
        };
        for name in names {
            let there = self.exact.entry(name.clone()).or_default();
            there.insert(workspace.to_owned());
        }
    }

    pub(crate) fn remove(&mut self, workspace: &str) {
        self.patterned.remove(workspace);
        self.exact.retain(|_, there| {
            there.remove(workspace);
            !there.is_empty()
        });
    }

    pub(crate) fn candidates(&self, namespace: &str) -> BTreeSet<String> {
        let exact = self.exact.get(namespace).into_iter().flatten();
        exact.chain(&self.patterned).cloned().collect()
    }

    /// Namespaces there are that a workspace can select.
    pub(crate) fn slots(&self, spec: &WorkspaceSpec, world: &World) -> Vec<Slot> {
        let Some(names) = Self::names(spec) else {
            return world.namespaces.keys().cloned().collect();
        };
        let slots = names.into_iter().flat_map(|name| {
            let clusters = self.clusters.get(name).into_iter().flatten();
            clusters.map(|cluster| Slot {
                cluster: cluster.clone(),
                namespace: name.clone(),
            })
        });
        slots.collect()
    }
}

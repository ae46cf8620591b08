//! The output beside its input, kept up to date change by change.

use std::collections::{BTreeMap, BTreeSet};

use gloo_api::{ClusterName, WorkspaceSpec};

use crate::{
    dry_run::Trial,
    member,
    reach::Reach,
    render::{self, Rendered},
    rule::{PolicyKey, Rule},
    settings, share,
    verdict::{Status, Subject},
    view::View,
    world::{Kind, Labels, Object, Place, Slot, World},
};

/// What has one reason to be computed again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Global,
    Workspace(String),
    Namespace(Slot),
}

/// What is different since the last time. `None` is gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    pub rules: BTreeMap<PolicyKey, Option<Rule>>,
    pub statuses: BTreeMap<Subject, Option<Status>>,
}

impl Delta {
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.statuses.is_empty()
    }
}

/// How much was done, in units that do not depend on the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Namespaces held against workspaces.
    pub checks: usize,
    /// Workspaces and namespaces computed.
    pub renders: usize,
    /// Rules written.
    pub rules: usize,
}

/// Keeps the output of all workspaces.
#[derive(Clone, Debug)]
pub struct Translator {
    view: View,
    reach: Reach,
    rendered: BTreeMap<Unit, Rendered>,
    /// Namespaces whose owner may be another.
    moved: BTreeSet<Slot>,
    /// Workspaces whose settings or partners may be others.
    changed: BTreeSet<String>,
    /// To be computed again.
    dirty: BTreeSet<Unit>,
    work: Work,
}

impl Translator {
    /// Of a world as a whole. [`Self::settle`] computes it.
    pub fn new(world: World) -> Self {
        let mut made = Self {
            view: View::new(World::new(world.home.clone())),
            reach: Reach::default(),
            rendered: BTreeMap::new(),
            moved: BTreeSet::new(),
            changed: BTreeSet::new(),
            dirty: BTreeSet::new(),
            work: Work::default(),
        };
        made.view.world = world;
        let slots: Vec<_> = made.view.world.namespaces.keys().cloned().collect();
        for slot in &slots {
            made.reach.seen(slot);
        }
        made.moved.extend(slots);
        let workspaces = made.view.world.workspaces().cloned().unwrap_or_default();
        for (name, workspace) in &workspaces {
            made.reach.add(name, &workspace.spec);
        }
        made.changed.extend(workspaces.into_keys());
        made.dirty.insert(Unit::Global);
        made
    }

    pub fn world(&self) -> &World {
        &self.view.world
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    pub fn work(&self) -> Work {
        self.work
    }

    pub fn rules(&self) -> impl Iterator<Item = (&PolicyKey, &Rule)> {
        self.rendered.values().flat_map(|unit| &unit.rules)
    }

    pub fn statuses(&self) -> impl Iterator<Item = (&Subject, &Status)> {
        self.rendered.values().flat_map(|unit| &unit.statuses)
    }

    pub fn status(&self, subject: &Subject) -> Option<&Status> {
        self.rendered
            .values()
            .find_map(|unit| unit.statuses.get(subject))
    }

    /// What is in dry run. Settings named `global` are in it once for each workspace.
    pub fn trials(&self) -> impl Iterator<Item = (&Subject, &Trial)> {
        self.rendered.values().flat_map(|unit| &unit.trials)
    }

    /// A cluster is registered with these labels; `None`: it is no longer, and what it has selects nobody any more.
    pub fn register(&mut self, cluster: &ClusterName, labels: Option<Labels>) {
        let clusters = &mut self.view.world.clusters;
        let before = match &labels {
            Some(labels) => clusters.insert(cluster.clone(), labels.clone()),
            None => clusters.remove(cluster),
        };
        if before != labels {
            let slots = self.view.world.namespaces.keys();
            let of_it = slots.filter(|slot| slot.cluster == *cluster).cloned();
            self.moved.extend(of_it);
        }
    }

    pub fn put(&mut self, place: &Place, object: Object) {
        let kind = object.kind();
        let spec = match &object {
            Object::Workspace(written) => Some(written.spec.clone()),
            _ => None,
        };
        if self.view.world.put(place, object) {
            self.reach.seen(&place.slot);
            self.touch(place, kind, spec.as_ref());
        }
    }

    pub fn remove(&mut self, place: &Place, kind: Kind) {
        if self.view.world.remove(place, kind) {
            self.touch(place, kind, None);
        }
    }

    fn touch(&mut self, place: &Place, kind: Kind, workspace: Option<&WorkspaceSpec>) {
        let slot = &place.slot;
        let admin = *slot == self.view.world.admin();
        match kind {
            Kind::Namespace => {
                self.moved.insert(slot.clone());
            }
            Kind::Workspace if admin => self.workspace(&place.name, workspace),
            Kind::Workspace | Kind::Dashboard => {
                self.dirty.insert(Unit::Namespace(slot.clone()));
            }
            Kind::Settings if admin && place.name == gloo_api::names::GLOBAL_SETTINGS => {
                self.dirty.insert(Unit::Global);
                let everybody = self.view.world.workspaces().into_iter().flatten();
                self.changed.extend(everybody.map(|(name, _)| name.clone()));
            }
            Kind::Settings => {
                self.dirty.insert(Unit::Namespace(slot.clone()));
                self.changed
                    .extend(self.view.owner(slot).map(str::to_owned));
            }
            Kind::Policy => {
                self.dirty.insert(Unit::Namespace(slot.clone()));
                self.dirty_owner(slot);
            }
            Kind::Service | Kind::Workload => self.dirty_owner(slot),
            Kind::Account => {
                if let Some(owner) = self.view.owner(slot).map(str::to_owned) {
                    self.spread(&owner);
                }
            }
        }
    }

    fn dirty_owner(&mut self, slot: &Slot) {
        if let Some(owner) = self.view.owner(slot).map(str::to_owned) {
            self.spread(&owner);
        }
    }

    /// A workspace's Workspace came, changed or went.
    fn workspace(&mut self, name: &str, spec: Option<&WorkspaceSpec>) {
        let held = [&self.view.members, &self.view.lost];
        let slots = held
            .iter()
            .filter_map(|map| map.get(name))
            .flatten()
            .cloned();
        self.moved.extend(slots);
        self.reach.remove(name);
        if let Some(spec) = spec {
            self.reach.add(name, spec);
            let reached = self.reach.slots(spec, &self.view.world);
            self.moved.extend(reached);
        }
        self.changed.insert(name.to_owned());
    }

    /// A workspace and those it shares with are computed again.
    fn spread(&mut self, workspace: &str) {
        let view = &self.view;
        let partners = view.importers(workspace).iter();
        let partners = partners.chain(view.exporters(workspace));
        let units = partners.cloned().map(Unit::Workspace);
        self.dirty.extend(units);
        self.dirty.insert(Unit::Workspace(workspace.to_owned()));
    }

    /// Computes what the changes since the last time touch.
    pub fn settle(&mut self) -> Delta {
        for slot in std::mem::take(&mut self.moved) {
            self.claim(&slot);
        }
        let changed = std::mem::take(&mut self.changed);
        for name in &changed {
            self.spread(name);
            self.resettle(name);
        }
        for name in &changed {
            self.repair(name);
            self.spread(name);
        }
        let mut delta = Delta::default();
        for unit in std::mem::take(&mut self.dirty) {
            self.render(unit, &mut delta);
        }
        delta
    }

    /// Decides anew who has a namespace.
    fn claim(&mut self, slot: &Slot) {
        let candidates = self.reach.candidates(&slot.namespace);
        self.work.checks += candidates.len();
        let new = member::ownership(&self.view.world, slot, candidates.iter());
        let old = if new == member::Ownership::default() {
            self.view.owners.remove(slot)
        } else {
            self.view.owners.insert(slot.clone(), new.clone())
        }
        .unwrap_or_default();
        self.dirty.insert(Unit::Namespace(slot.clone()));
        for (map, old, new) in [
            (
                &mut self.view.members,
                old.owner.iter().collect::<Vec<_>>(),
                new.owner.iter().collect::<Vec<_>>(),
            ),
            (
                &mut self.view.lost,
                old.losers.iter().collect(),
                new.losers.iter().collect(),
            ),
        ] {
            for name in old {
                unlink(map, name, slot);
            }
            for name in new {
                map.entry(name.clone()).or_default().insert(slot.clone());
            }
        }
        self.changed.extend(old.claimants().cloned());
        self.changed.extend(new.claimants().cloned());
    }

    /// Finds the settings in force.
    fn resettle(&mut self, name: &str) {
        let exists = self.view.world.workspace(name).is_some();
        match settings::in_force(&self.view, name).filter(|_| exists) {
            Some(place) => self.view.settings.insert(name.to_owned(), place),
            None => self.view.settings.remove(name),
        };
    }

    /// Finds the partners.
    fn repair(&mut self, name: &str) {
        let before: Vec<_> = self.view.importers(name).iter().cloned().collect();
        for importer in before {
            unlink(&mut self.view.importers, name, &importer);
            unlink(&mut self.view.exporters, &importer, &name.to_owned());
        }
        let before: Vec<_> = self.view.exporters(name).iter().cloned().collect();
        for exporter in before {
            unlink(&mut self.view.exporters, name, &exporter);
            unlink(&mut self.view.importers, &exporter, &name.to_owned());
        }
        let (exports, imports) = self
            .view
            .settings(name)
            .map(|(_, settings)| {
                let spec = &settings.spec;
                (self.named(&spec.export_to), self.named(&spec.import_from))
            })
            .unwrap_or_default();
        self.work.checks += exports.len() + imports.len();
        for importer in exports {
            if self.view.shares(name, &importer) {
                link(&mut self.view, name, &importer);
            }
        }
        for exporter in imports {
            if self.view.shares(&exporter, name) {
                link(&mut self.view, &exporter, name);
            }
        }
    }

    /// Workspaces that shares may be with.
    fn named(&self, shares: &[gloo_api::workspace_settings::Share]) -> Vec<String> {
        match share::names(shares) {
            Some(names) => names.into_iter().cloned().collect(),
            None => self
                .view
                .world
                .workspaces()
                .into_iter()
                .flat_map(BTreeMap::keys)
                .cloned()
                .collect(),
        }
    }

    fn render(&mut self, unit: Unit, delta: &mut Delta) {
        let new = match &unit {
            Unit::Global => render::global(&self.view),
            Unit::Workspace(name) => render::workspace(&self.view, name),
            Unit::Namespace(slot) => render::namespace(&self.view, slot),
        };
        self.work.renders += 1;
        self.work.rules += new.rules.len();
        let old = self.rendered.remove(&unit).unwrap_or_default();
        differ(&mut delta.rules, old.rules, &new.rules);
        differ(&mut delta.statuses, old.statuses, &new.statuses);
        if new != Rendered::default() {
            self.rendered.insert(unit, new);
        }
    }
}

/// A key can leave one unit and come to another; whatever comes counts more than what goes.
fn differ<K: Ord + Clone, V: PartialEq + Clone>(
    delta: &mut BTreeMap<K, Option<V>>,
    old: BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
) {
    for (key, value) in new {
        if old.get(key) != Some(value) {
            delta.insert(key.clone(), Some(value.clone()));
        }
    }
    for key in old.into_keys() {
        if !new.contains_key(&key) {
            delta.entry(key).or_insert(None);
        }
    }
}

fn link(view: &mut View, exporter: &str, importer: &str) {
    let entry = view.importers.entry(exporter.to_owned()).or_default();
    entry.insert(importer.to_owned());
    let entry = view.exporters.entry(importer.to_owned()).or_default();
    entry.insert(exporter.to_owned());
}

fn unlink<V: Ord>(map: &mut BTreeMap<String, BTreeSet<V>>, key: &str, value: &V) {
    if let Some(values) = map.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            map.remove(key);
        }
    }
}

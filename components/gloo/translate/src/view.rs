//! The world, and what follows from it for each workspace before any policy is made.

use std::collections::{BTreeMap, BTreeSet};

use gloo_api::WorkspaceSettingsSpec;

use crate::{
    member::Ownership,
    rule::Peer,
    select::chosen,
    share::{self, Other},
    world::{Namespace, Place, Service, Slot, World, Written},
};

/// Facts about workspaces that are kept up to date.
#[derive(Clone, Debug)]
pub struct View {
    pub world: World,
    pub(crate) owners: BTreeMap<Slot, Ownership>,
    /// Namespaces of each workspace.
    pub(crate) members: BTreeMap<String, BTreeSet<Slot>>,
    /// Namespaces each workspace selects and another one has.
    pub(crate) lost: BTreeMap<String, BTreeSet<Slot>>,
    /// The settings in force for each workspace.
    pub(crate) settings: BTreeMap<String, Place>,
    /// Importers of each workspace that it exports to.
    pub(crate) importers: BTreeMap<String, BTreeSet<String>>,
    /// The same by importer.
    pub(crate) exporters: BTreeMap<String, BTreeSet<String>>,
}

static NOBODY: BTreeSet<String> = BTreeSet::new();
static NOWHERE: BTreeSet<Slot> = BTreeSet::new();

impl View {
    pub(crate) fn new(world: World) -> Self {
        Self {
            world,
            owners: BTreeMap::new(),
            members: BTreeMap::new(),
            lost: BTreeMap::new(),
            settings: BTreeMap::new(),
            importers: BTreeMap::new(),
            exporters: BTreeMap::new(),
        }
    }

    pub fn owner(&self, slot: &Slot) -> Option<&str> {
        self.owners.get(slot)?.owner.as_deref()
    }

    /// Whether Gloo resources in the namespace are its workspace's configuration.
    pub fn configures(&self, slot: &Slot) -> bool {
        self.owners.get(slot).is_some_and(|owned| owned.config)
    }

    /// Whether people of a workspace may know of what is in a namespace: it is theirs, or of a workspace services are shared with.
    pub fn sees(&self, workspace: &str, slot: &Slot) -> bool {
        self.owner(slot).is_some_and(|owner| {
            owner == workspace
                || self.importers(workspace).contains(owner)
                || self.exporters(workspace).contains(owner)
        })
    }

    pub(crate) fn slots(&self, workspace: &str) -> &BTreeSet<Slot> {
        self.members.get(workspace).unwrap_or(&NOWHERE)
    }

    pub(crate) fn namespaces(&self, workspace: &str) -> impl Iterator<Item = (&Slot, &Namespace)> {
        self.slots(workspace)
            .iter()
            .filter_map(|slot| Some((slot, self.world.namespaces.get(slot)?)))
    }

    pub(crate) fn importers(&self, workspace: &str) -> &BTreeSet<String> {
        self.importers.get(workspace).unwrap_or(&NOBODY)
    }

    pub(crate) fn exporters(&self, workspace: &str) -> &BTreeSet<String> {
        self.exporters.get(workspace).unwrap_or(&NOBODY)
    }

    pub(crate) fn settings(
        &self,
        workspace: &str,
    ) -> Option<(&Place, &Written<WorkspaceSettingsSpec>)> {
        let place = self.settings.get(workspace)?;
        let namespace = self.world.namespaces.get(&place.slot)?;
        Some((place, namespace.settings.get(&place.name)?))
    }

    fn other<'a>(&'a self, workspace: &'a str) -> Option<Other<'a>> {
        let labels = &self.world.workspace(workspace)?.labels;
        Some(Other {
            name: workspace,
            labels,
        })
    }

    /// Whether one exports to the other, and the other imports from the one.
    pub(crate) fn shares(&self, exporter: &str, importer: &str) -> bool {
        let check = || {
            let exports = &self.settings(exporter)?.1.spec.export_to;
            let imports = &self.settings(importer)?.1.spec.import_from;
            Some(
                exporter != importer
                    && share::with(exports, self.other(importer)?)
                    && share::with(imports, self.other(exporter)?),
            )
        };
        check().unwrap_or(false)
    }

    /// Whether a service of one is shared with the other.
    pub(crate) fn shared(
        &self,
        exporter: &str,
        importer: &str,
        slot: &Slot,
        name: &str,
        service: &Service,
    ) -> bool {
        let check = || {
            let exports = &self.settings(exporter)?.1.spec.export_to;
            let imports = &self.settings(importer)?.1.spec.import_from;
            Some(
                share::holds(exports, self.other(importer)?, slot, name, service)
                    && share::holds(imports, self.other(exporter)?, slot, name, service),
            )
        };
        check().unwrap_or(false)
    }

    /// Every account of a workspace that `choice` selects; all of them without one.
    pub(crate) fn accounts(
        &self,
        workspace: &str,
        choice: Option<&gloo_api::access_policy::ObjectChoice>,
    ) -> impl Iterator<Item = Peer> {
        self.namespaces(workspace).flat_map(move |(slot, ns)| {
            ns.accounts
                .iter()
                .filter(move |(name, labels)| {
                    choice.is_none_or(|choice| chosen(choice, workspace, slot, name, labels))
                })
                .map(move |(name, _)| Peer {
                    slot: slot.clone(),
                    account: name.clone(),
                })
        })
    }

    /// Workspaces whose accounts may be let in to a service: its own, and those it is shared with.
    pub(crate) fn audience<'a>(
        &'a self,
        workspace: &'a str,
        slot: &Slot,
        name: &str,
        service: &Service,
    ) -> Vec<&'a str> {
        let mut audience = vec![workspace];
        audience.extend(
            self.importers(workspace)
                .iter()
                .map(String::as_str)
                .filter(|importer| self.shared(workspace, importer, slot, name, service)),
        );
        audience
    }
}

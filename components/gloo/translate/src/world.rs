//! What the translation knows of all clusters.

use std::collections::BTreeMap;

use gloo_api::{
    AccessPolicySpec, ClusterName, DashboardSpec, WorkspaceSettingsSpec, WorkspaceSpec, names,
};

pub type Labels = BTreeMap<String, String>;

/// A namespace of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub cluster: ClusterName,
    pub namespace: String,
}

/// Where a resource is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub slot: Slot,
    pub name: String,
}

/// A resource a person wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written<S> {
    /// RFC 3339 in UTC, which sorts by time.
    pub created: String,
    pub generation: i64,
    pub labels: Labels,
    pub spec: S,
}

/// A Service as far as it matters to policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    pub labels: Labels,
    /// Of its pods; empty: it has none, somebody else gives it endpoints.
    pub selector: Labels,
    pub ports: Vec<ServicePort>,
}

/// One port of a Service, and the port of the pods behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    pub name: Option<String>,
    pub number: u16,
    pub pod: PodPort,
}

/// A port of pods as policies name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodPort {
    /// A number or the name of a container's port.
    pub port: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: &'static str,
}

/// Pods that are made alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Of its pods.
    pub labels: Labels,
    /// ServiceAccount of its pods.
    pub account: String,
    /// Numbers of their containers' named ports.
    pub ports: BTreeMap<String, u16>,
}

/// An object of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    Namespace(Labels),
    Account(Labels),
    Service(Service),
    Workload(Workload),
    Workspace(Written<WorkspaceSpec>),
    Settings(Written<WorkspaceSettingsSpec>),
    Policy(Written<AccessPolicySpec>),
    Dashboard(Box<Written<DashboardSpec>>),
}

/// Kind of an [`Object`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Namespace,
    Account,
    Service,
    Workload,
    Workspace,
    Settings,
    Policy,
    Dashboard,
}

impl Object {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Namespace(_) => Kind::Namespace,
            Self::Account(_) => Kind::Account,
            Self::Service(_) => Kind::Service,
            Self::Workload(_) => Kind::Workload,
            Self::Workspace(_) => Kind::Workspace,
            Self::Settings(_) => Kind::Settings,
            Self::Policy(_) => Kind::Policy,
            Self::Dashboard(_) => Kind::Dashboard,
        }
    }
}

/// What is in a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Namespace {
    /// `None`: the Namespace itself was not seen, so nobody selects it.
    pub labels: Option<Labels>,
    pub accounts: BTreeMap<String, Labels>,
    pub services: BTreeMap<String, Service>,
    /// By kind and name, as in `Deployment/web`.
    pub workloads: BTreeMap<String, Workload>,
    pub workspaces: BTreeMap<String, Written<WorkspaceSpec>>,
    pub settings: BTreeMap<String, Written<WorkspaceSettingsSpec>>,
    pub policies: BTreeMap<String, Written<AccessPolicySpec>>,
    pub dashboards: BTreeMap<String, Box<Written<DashboardSpec>>>,
}

impl Namespace {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether that changed anything.
    fn put(&mut self, name: &str, object: Object) -> bool {
        match object {
            Object::Namespace(labels) => self.labels.replace(labels.clone()) != Some(labels),
            Object::Account(labels) => set(&mut self.accounts, name, labels),
            Object::Service(service) => set(&mut self.services, name, service),
            Object::Workload(workload) => set(&mut self.workloads, name, workload),
            Object::Workspace(workspace) => set(&mut self.workspaces, name, workspace),
            Object::Settings(settings) => set(&mut self.settings, name, settings),
            Object::Policy(policy) => set(&mut self.policies, name, policy),
            Object::Dashboard(dashboard) => set(&mut self.dashboards, name, dashboard),
        }
    }

    /// Whether it was there.
    fn take(&mut self, kind: Kind, name: &str) -> bool {
        match kind {
            Kind::Namespace => self.labels.take().is_some(),
            Kind::Account => self.accounts.remove(name).is_some(),
            Kind::Service => self.services.remove(name).is_some(),
            Kind::Workload => self.workloads.remove(name).is_some(),
            Kind::Workspace => self.workspaces.remove(name).is_some(),
            Kind::Settings => self.settings.remove(name).is_some(),
            Kind::Policy => self.policies.remove(name).is_some(),
            Kind::Dashboard => self.dashboards.remove(name).is_some(),
        }
    }
}

fn set<T: PartialEq + Clone>(map: &mut BTreeMap<String, T>, name: &str, value: T) -> bool {
    map.insert(name.to_owned(), value.clone()) != Some(value)
}

/// All clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// The management cluster: the one whose Workspaces count.
    pub home: ClusterName,
    /// Labels of each registered cluster's KubernetesCluster.
    pub clusters: BTreeMap<ClusterName, Labels>,
    pub namespaces: BTreeMap<Slot, Namespace>,
}

impl World {
    pub fn new(home: ClusterName) -> Self {
        Self {
            home,
            clusters: BTreeMap::new(),
            namespaces: BTreeMap::new(),
        }
    }

    /// Whether that changed anything.
    pub fn put(&mut self, place: &Place, object: Object) -> bool {
        let namespace = self.namespaces.entry(place.slot.clone()).or_default();
        namespace.put(&place.name, object)
    }

    /// Whether it was there.
    pub fn remove(&mut self, place: &Place, kind: Kind) -> bool {
        let Some(namespace) = self.namespaces.get_mut(&place.slot) else {
            return false;
        };
        let was = namespace.take(kind, &place.name);
        if namespace.is_empty() {
            self.namespaces.remove(&place.slot);
        }
        was
    }

    /// Namespace of the management plane's own resources.
    pub fn admin(&self) -> Slot {
        Slot {
            cluster: self.home.clone(),
            namespace: names::NAMESPACE.to_owned(),
        }
    }

    /// The Workspaces that count.
    pub fn workspaces(&self) -> Option<&BTreeMap<String, Written<WorkspaceSpec>>> {
        Some(&self.namespaces.get(&self.admin())?.workspaces)
    }

    pub fn workspace(&self, name: &str) -> Option<&Written<WorkspaceSpec>> {
        self.workspaces()?.get(name)
    }

    /// The settings that stand for everybody's.
    pub fn global(&self) -> Option<&Written<WorkspaceSettingsSpec>> {
        let admin = self.namespaces.get(&self.admin())?;
        admin.settings.get(names::GLOBAL_SETTINGS)
    }
}

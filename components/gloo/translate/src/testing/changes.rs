//! Random changes over few names, so that they meet.

use gloo_api::{
    AccessPolicySpec, ClusterName, WorkspaceSettingsSpec, WorkspaceSpec,
    access_policy::{Authz, Client, Config, DestinationChoice, ObjectChoice, WorkloadChoice},
    workspace::{NamespaceChoice, WorkloadCluster},
    workspace_settings::{ResourceChoice, ResourceKind, Share, WorkspaceChoice},
};
use proptest::{collection::vec, option::of, prelude::*, sample::select};

use crate::{
    Translator,
    world::{Kind, Labels, Object, Place, PodPort, Service, ServicePort, Slot, Written},
};

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Change {
    Register(ClusterName, Option<Labels>),
    Put(Place, Box<Object>),
    Remove(Place, Kind),
}

impl Change {
    pub fn apply(&self, to: &mut Translator) {
        match self {
            Self::Register(cluster, labels) => to.register(cluster, labels.clone()),
            Self::Put(place, object) => to.put(place, (**object).clone()),
            Self::Remove(place, kind) => to.remove(place, *kind),
        }
    }
}

/// A cluster of tests.
///
/// # Panics
///
/// When the text is no name of one.
#[expect(clippy::expect_used, reason = "names that are written here")]
pub fn cluster(name: &str) -> ClusterName {
    name.parse().expect("a name of a cluster")
}

pub(super) fn labels(key: &'static str) -> impl Strategy<Value = Labels> {
    of(select(vec!["a", "b"])).prop_map(move |value| {
        value
            .map(|value| (key.to_owned(), value.to_owned()))
            .into_iter()
            .collect()
    })
}

pub(super) fn name(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(names).prop_map(str::to_owned)
}

fn clusters() -> impl Strategy<Value = ClusterName> {
    select(vec!["west", "east"]).prop_map(cluster)
}

fn slot() -> impl Strategy<Value = Slot> {
    (
        clusters(),
        name(&["shop", "bank", "kube-system", "gloo-mesh"]),
    )
        .prop_map(|(cluster, namespace)| Slot { cluster, namespace })
}

/// A part of a selector.
fn part(names: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    of(name(names))
}

fn written<S: std::fmt::Debug>(
    spec: impl Strategy<Value = S>,
) -> impl Strategy<Value = Written<S>> {
    (name(&["1", "2"]), 0..3i64, labels("team"), spec).prop_map(
        |(created, generation, labels, spec)| Written {
            created,
            generation,
            labels,
            spec,
        },
    )
}

fn workspace() -> impl Strategy<Value = WorkspaceSpec> {
    let namespace = (
        part(&["shop", "bank", "*", "s*", "kube-system"]),
        labels("tier"),
        of(any::<bool>()),
    )
        .prop_map(|(name, labels, config_enabled)| NamespaceChoice {
            name,
            labels,
            config_enabled,
        });
    let part = (
        part(&["west", "east", "*"]),
        labels("region"),
        vec(namespace, 1..3),
    )
        .prop_map(|(name, selector, namespaces)| WorkloadCluster {
            name,
            selector,
            namespaces,
            config_enabled: None,
        });
    vec(part, 1..3).prop_map(|workload_clusters| WorkspaceSpec { workload_clusters })
}

pub(super) fn shares() -> impl Strategy<Value = Vec<Share>> {
    let workspace = (part(&["w1", "w2", "*"]), labels("team"))
        .prop_map(|(name, selector)| WorkspaceChoice { name, selector });
    let kinds = [
        ResourceKind::All,
        ResourceKind::Service,
        ResourceKind::RouteTable,
    ];
    let resource = (
        select(kinds.to_vec()),
        labels("app"),
        part(&["web", "db"]),
        part(&["shop", "*"]),
    )
        .prop_map(|(kind, labels, name, namespace)| ResourceChoice {
            kind,
            labels,
            name,
            namespace,
            ..ResourceChoice::default()
        });
    let share =
        (vec(workspace, 0..3), vec(resource, 0..2)).prop_map(|(workspaces, resources)| Share {
            workspaces,
            resources,
        });
    vec(share, 0..3)
}

fn settings() -> impl Strategy<Value = WorkspaceSettingsSpec> {
    (
        shares(),
        shares(),
        any::<bool>(),
        proptest::bool::weighted(0.1),
    )
        .prop_map(|(import_from, export_to, enabled, dry_run)| {
            let mut spec = WorkspaceSettingsSpec {
                import_from,
                export_to,
                ..WorkspaceSettingsSpec::default()
            };
            spec.options.service_isolation.enabled = enabled;
            spec.options.service_isolation.dry_run = dry_run;
            spec
        })
}

fn choice() -> impl Strategy<Value = ObjectChoice> {
    (
        labels("app"),
        part(&["web", "db", "w*"]),
        part(&["shop", "bank"]),
        part(&["west", "e*"]),
    )
        .prop_map(|(labels, name, namespace, cluster)| ObjectChoice {
            labels,
            name,
            namespace,
            cluster,
            workspace: None,
        })
}

pub(super) fn policy() -> impl Strategy<Value = AccessPolicySpec> {
    let client = of(choice()).prop_map(|service_account_selector| Client {
        service_account_selector,
        ..Client::default()
    });
    let entry = (
        vec(client, 0..3),
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.1),
    )
        .prop_map(|(allowed_clients, dry_run, paths)| Authz {
            allowed_clients,
            dry_run,
            allowed_paths: paths.then(|| gloo_api::unsupported::Unsupported("/".into())),
            ..Authz::default()
        });
    let workload = choice().prop_map(|mut selector| {
        selector.name = None;
        WorkloadChoice { selector }
    });
    let destination = choice().prop_map(|selector| DestinationChoice {
        selector,
        ..DestinationChoice::default()
    });
    let target = prop_oneof![
        3 => vec(destination, 1..3).prop_map(|destinations| (destinations, Vec::new())),
        1 => vec(workload, 1..2).prop_map(|workloads| (Vec::new(), workloads)),
    ];
    (target, vec(entry, 0..3)).prop_map(|((destinations, workloads), authz_list)| {
        AccessPolicySpec {
            apply_to_destinations: destinations,
            apply_to_workloads: workloads,
            config: Config {
                authz_list,
                ..Config::default()
            },
        }
    })
}

/// Selectors of services: alike, apart, one within another, and crossing.
fn pods() -> impl Strategy<Value = Labels> {
    let all: [&[(&str, &str)]; 6] = [
        &[("pods", "web")],
        &[("pods", "db")],
        &[("pods", "web"), ("track", "canary")],
        &[("track", "canary")],
        &[("zone", "a"), ("track", "canary")],
        &[("pods", "web"), ("track", "canary"), ("zone", "a")],
    ];
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        let pairs = pairs.iter();
        pairs
            .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
            .collect()
    };
    select(all.map(labels).to_vec())
}

/// Pods are labelled by the name of their service.
pub fn service(name: &str, labels: Labels, number: u16) -> Service {
    Service {
        labels,
        selector: [("pods".to_owned(), name.to_owned())].into(),
        ports: vec![ServicePort {
            name: Some("http".to_owned()),
            number,
            pod: PodPort {
                port: (number + 8000).to_string(),
                protocol: "TCP",
            },
        }],
    }
}

/// One change.
pub fn change() -> impl Strategy<Value = Change> {
    let at = |names| (slot(), name(names)).prop_map(|(slot, name)| Place { slot, name });
    let admin = name(&["w1", "w2", "w3"])
        .prop_map(|name| Place {
            slot: Slot {
                cluster: cluster("west"),
                namespace: "gloo-mesh".to_owned(),
            },
            name,
        })
        .boxed();
    let kinds = select(vec![
        Kind::Namespace,
        Kind::Account,
        Kind::Service,
        Kind::Settings,
        Kind::Policy,
        Kind::Dashboard,
    ]);
    let pods = (
        name(&["web", "db", "all"]),
        labels("app"),
        80..82u16,
        pods(),
    );
    prop_oneof![
        1 => (clusters(), of(labels("region"))).prop_map(|(cluster, labels)| Change::Register(cluster, labels)),
        4 => (slot(), labels("tier")).prop_map(|(slot, labels)| {
            let name = slot.namespace.clone();
            Change::Put(Place { slot, name }, Box::new(Object::Namespace(labels)))
        }),
        4 => (at(&["web", "db"]), labels("app")).prop_map(|(place, labels)| Change::Put(place, Box::new(Object::Account(labels)))),
        4 => (slot(), pods).prop_map(|(slot, (name, labels, port, selector))| {
            let service = Service { selector, ..service(&name, labels, port) };
            Change::Put(Place { slot, name }, Box::new(Object::Service(service)))
        }),
        4 => (admin.clone(), written(workspace())).prop_map(|(place, spec)| Change::Put(place, Box::new(Object::Workspace(spec)))),
        4 => (at(&["s1", "s2"]), written(settings())).prop_map(|(place, spec)| Change::Put(place, Box::new(Object::Settings(spec)))),
        1 => (at(&["global"]), written(settings())).prop_map(|(place, spec)| Change::Put(place, Box::new(Object::Settings(spec)))),
        4 => (at(&["p1", "p2"]), written(policy())).prop_map(|(place, spec)| Change::Put(place, Box::new(Object::Policy(spec)))),
        1 => at(&["d1"]).prop_map(|place| Change::Put(place, Box::new(Object::Dashboard(Box::default())))),
        1 => admin.prop_map(|place| Change::Remove(place, Kind::Workspace)),
        3 => (at(&["web", "db", "s1", "s2", "p1", "d1", "global", "shop", "bank"]), kinds).prop_map(|(place, kind)| Change::Remove(place, kind)),
    ]
}

/// One isolated workspace whose services share pods, with policies for some of them.
pub fn sharing() -> impl Strategy<Value = Vec<Change>> {
    let services = vec((name(&["a", "b", "c", "d"]), pods(), 80..82u16), 2..5);
    (services, vec(for_some_service(), 1..3)).prop_map(|(services, policies)| {
        let services = services.into_iter().map(|(name, selector, port)| {
            let service = Service {
                selector,
                ..service(&name, Labels::new(), port)
            };
            put("shop", &name, Object::Service(service))
        });
        let policies = policies.into_iter().enumerate().map(|(number, spec)| {
            let policy = Object::Policy(written_as(spec));
            put("shop", &format!("p{number}"), policy)
        });
        isolated(
            "shop",
            "w1",
            Labels::new(),
            WorkspaceSettingsSpec::default(),
        )
        .into_iter()
        .chain(services)
        .chain(policies)
        .collect()
    })
}

pub(super) fn put(namespace: &str, name: &str, object: Object) -> Change {
    let slot = Slot {
        cluster: cluster("west"),
        namespace: namespace.to_owned(),
    };
    let name = name.to_owned();
    Change::Put(Place { slot, name }, Box::new(object))
}

pub(super) fn written_as<S: Default>(spec: S) -> Written<S> {
    Written {
        spec,
        ..Written::default()
    }
}

/// A workspace over a namespace with service isolation and two accounts.
pub(super) fn isolated(
    namespace: &str,
    workspace: &str,
    labels: Labels,
    mut settings: WorkspaceSettingsSpec,
) -> Vec<Change> {
    let selects = WorkspaceSpec {
        workload_clusters: vec![WorkloadCluster {
            name: Some("*".to_owned()),
            namespaces: vec![NamespaceChoice {
                name: Some(namespace.to_owned()),
                ..NamespaceChoice::default()
            }],
            ..WorkloadCluster::default()
        }],
    };
    let selects = Written {
        labels,
        ..written_as(selects)
    };
    settings.options.service_isolation.enabled = true;
    vec![
        Change::Register(cluster("west"), Some(Labels::new())),
        put(namespace, namespace, Object::Namespace(Labels::new())),
        put(namespace, "web", Object::Account(Labels::new())),
        put(namespace, "db", Object::Account(Labels::new())),
        put("gloo-mesh", workspace, Object::Workspace(selects)),
        put(namespace, "s1", Object::Settings(written_as(settings))),
    ]
}

/// A policy that lets some account in to one of the services, or to all.
fn for_some_service() -> impl Strategy<Value = AccessPolicySpec> {
    let named = |name| ObjectChoice {
        name,
        ..ObjectChoice::default()
    };
    let client = part(&["web", "db"]).prop_map(move |name| Client {
        service_account_selector: Some(named(name)),
        ..Client::default()
    });
    (part(&["a", "b", "c"]), vec(client, 0..2)).prop_map(move |(name, allowed_clients)| {
        AccessPolicySpec {
            apply_to_destinations: vec![DestinationChoice {
                selector: named(name),
                ..DestinationChoice::default()
            }],
            config: Config {
                authz_list: vec![Authz {
                    allowed_clients,
                    ..Authz::default()
                }],
                ..Config::default()
            },
            ..AccessPolicySpec::default()
        }
    })
}

/// Many changes, after both clusters are there.
pub fn changes(most: usize) -> impl Strategy<Value = Vec<Change>> {
    let region = |value: &str| Some([("region".to_owned(), value.to_owned())].into());
    vec(change(), 10..most).prop_map(move |changes| {
        let mut all = vec![
            Change::Register(cluster("west"), region("a")),
            Change::Register(cluster("east"), region("b")),
        ];
        all.extend(changes);
        all
    })
}

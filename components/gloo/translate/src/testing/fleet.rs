//! A fleet of any size: each workspace has two namespaces in two clusters, isolation, and one partner it exports to.

use gloo_api::{
    WorkspaceSettingsSpec, WorkspaceSpec,
    workspace::{NamespaceChoice, WorkloadCluster},
    workspace_settings::{Share, WorkspaceChoice},
};

use super::changes::{cluster, service};
use crate::{
    Translator,
    world::{Labels, Object, Place, Slot, World, Written},
};

/// Services of each namespace.
const SERVICES: usize = 4;

pub fn slot(of: &str, namespace: String) -> Slot {
    Slot {
        cluster: cluster(of),
        namespace,
    }
}

pub fn place(slot: &Slot, name: &str) -> Place {
    Place {
        slot: slot.clone(),
        name: name.to_owned(),
    }
}

fn written<S>(spec: S) -> Written<S> {
    Written {
        created: "2026-01-01T00:00:00Z".to_owned(),
        generation: 1,
        labels: Labels::new(),
        spec,
    }
}

/// A translator with so many workspaces, not settled.
pub fn fleet(workspaces: usize) -> Translator {
    let mut world = World::new(cluster("west"));
    for name in ["west", "east"] {
        world.clusters.insert(cluster(name), Labels::new());
    }
    for number in 0..workspaces {
        workspace(&mut world, number, (number + 1) % workspaces);
    }
    Translator::new(world)
}

fn workspace(world: &mut World, number: usize, partner: usize) {
    let name = format!("team-{number}");
    let spec = WorkspaceSpec {
        workload_clusters: vec![WorkloadCluster {
            name: Some("*".to_owned()),
            namespaces: vec![NamespaceChoice {
                name: Some(name.clone()),
                ..NamespaceChoice::default()
            }],
            ..WorkloadCluster::default()
        }],
    };
    let admin = world.admin();
    world.put(&place(&admin, &name), Object::Workspace(written(spec)));
    for of in ["west", "east"] {
        let slot = slot(of, name.clone());
        world.put(&place(&slot, &name), Object::Namespace(Labels::new()));
        for at in 0..SERVICES {
            let name = format!("s{at}");
            let service = service(&name, Labels::new(), 80);
            world.put(&place(&slot, &name), Object::Service(service));
            world.put(&place(&slot, &name), Object::Account(Labels::new()));
        }
    }
    let home = slot("west", name);
    let settings = Object::Settings(written(settings(number, partner)));
    world.put(&place(&home, "settings"), settings);
}

fn settings(number: usize, partner: usize) -> WorkspaceSettingsSpec {
    let with = |name: String| {
        let choice = WorkspaceChoice {
            name: Some(name),
            ..WorkspaceChoice::default()
        };
        vec![Share {
            workspaces: vec![choice],
            resources: Vec::new(),
        }]
    };
    let mut spec = WorkspaceSettingsSpec {
        export_to: with(format!("team-{partner}")),
        import_from: match number {
            0 => Vec::new(),
            _ => with(format!("team-{}", number - 1)),
        },
        ..WorkspaceSettingsSpec::default()
    };
    spec.options.service_isolation.enabled = true;
    spec
}

//! Resources that say too little or contradict each other: nobody is let in by them, and each says so.

use gloo_api::{
    AccessPolicySpec, Approval, WorkspaceSettingsSpec, WorkspaceSpec,
    access_policy::{Authz, Client, Config, DestinationChoice, ObjectChoice},
    workspace::{NamespaceChoice, WorkloadCluster},
    workspace_settings::{Share, WorkspaceChoice},
};
use gloo_translate::{
    Translator,
    testing::{
        changes::{cluster, service},
        fleet::{place, slot},
    },
    verdict::Subject,
    world::{Labels, Object, Slot, World, Written},
};

fn written<S>(created: &str, spec: S) -> Written<S> {
    Written {
        created: created.to_owned(),
        generation: 1,
        labels: Labels::new(),
        spec,
    }
}

fn shop(namespace: &str) -> Slot {
    slot("west", namespace.to_owned())
}

fn admin() -> Slot {
    shop("gloo-mesh")
}

/// Registered cluster west with these namespaces, each with a Service and an account `web`.
fn world(namespaces: &[&str]) -> World {
    let mut world = World::new(cluster("west"));
    world.clusters.insert(cluster("west"), Labels::new());
    for name in namespaces {
        let slot = shop(name);
        world.put(&place(&slot, name), Object::Namespace(Labels::new()));
        let web = service("web", Labels::new(), 80);
        world.put(&place(&slot, "web"), Object::Service(web));
        world.put(&place(&slot, "web"), Object::Account(Labels::new()));
    }
    world
}

fn over(namespaces: &[&str]) -> WorkspaceSpec {
    let choice = |name: &&str| NamespaceChoice {
        name: Some((*name).to_owned()),
        ..NamespaceChoice::default()
    };
    WorkspaceSpec {
        workload_clusters: vec![WorkloadCluster {
            name: Some("*".to_owned()),
            namespaces: namespaces.iter().map(choice).collect(),
            ..WorkloadCluster::default()
        }],
    }
}

fn workspace(world: &mut World, name: &str, created: &str, spec: WorkspaceSpec) {
    let workspace = Object::Workspace(written(created, spec));
    world.put(&place(&admin(), name), workspace);
}

fn isolated() -> WorkspaceSettingsSpec {
    let mut spec = WorkspaceSettingsSpec::default();
    spec.options.service_isolation.enabled = true;
    spec
}

fn settings(world: &mut World, namespace: &str, spec: WorkspaceSettingsSpec) {
    let settings = Object::Settings(written("1", spec));
    world.put(&place(&shop(namespace), "settings"), settings);
}

fn with(name: &str) -> Vec<Share> {
    vec![Share {
        workspaces: vec![WorkspaceChoice {
            name: Some(name.to_owned()),
            ..WorkspaceChoice::default()
        }],
        resources: Vec::new(),
    }]
}

fn settled(world: World) -> Translator {
    let mut translator = Translator::new(world);
    translator.settle();
    translator
}

fn said(translator: &Translator, subject: &Subject) -> (Approval, String) {
    let status = translator.status(subject);
    let state = status.map(gloo_translate::verdict::Status::state);
    state.map_or((Approval::Pending, String::new()), |state| {
        (state.approval, state.message.clone())
    })
}

/// Namespaces whose accounts some rule of the namespace lets in.
fn let_in(translator: &Translator, namespace: &str) -> Vec<String> {
    let rules = translator.rules();
    let of_it = rules.filter(|(key, _)| key.slot == shop(namespace));
    let mut peers: Vec<_> = of_it
        .flat_map(|(_, rule)| &rule.peers)
        .map(|peer| peer.slot.namespace.clone())
        .collect();
    peers.sort();
    peers.dedup();
    peers
}

#[test]
fn a_workspace_without_clusters_or_namespaces_has_nothing_and_says_so() {
    let nobody = WorkspaceSpec::default();
    let nowhere = WorkspaceSpec {
        workload_clusters: vec![WorkloadCluster {
            name: Some("elsewhere".to_owned()),
            namespaces: over(&["*"]).workload_clusters[0].namespaces.clone(),
            ..WorkloadCluster::default()
        }],
    };
    // Neither name nor labels: nothing selected is nobody, not everybody.
    let empty = WorkspaceSpec {
        workload_clusters: vec![WorkloadCluster {
            namespaces: vec![NamespaceChoice::default()],
            ..WorkloadCluster::default()
        }],
    };
    for spec in [nobody, nowhere, empty] {
        let mut world = world(&["shop"]);
        workspace(&mut world, "team", "1", spec);
        settings(&mut world, "shop", isolated());
        let translator = settled(world);
        assert_eq!(translator.rules().count(), 0);
        let (approval, message) = said(&translator, &Subject::Workspace(place(&admin(), "team")));
        assert_eq!(approval, Approval::Warning);
        assert!(message.contains("selects no namespace"), "{message}");
    }
}

#[test]
fn of_two_workspaces_that_overlap_the_older_has_the_namespace_and_both_say_so() {
    let mut world = world(&["shop", "bank"]);
    workspace(
        &mut world,
        "younger",
        "2026-02-01T00:00:00Z",
        over(&["shop", "bank"]),
    );
    workspace(&mut world, "older", "2026-01-01T00:00:00Z", over(&["shop"]));
    settings(&mut world, "shop", isolated());
    settings(&mut world, "bank", isolated());
    let translator = settled(world);
    assert_eq!(let_in(&translator, "shop"), ["shop"]);
    assert_eq!(let_in(&translator, "bank"), ["bank"]);
    let (approval, message) = said(&translator, &Subject::Workspace(place(&admin(), "younger")));
    assert_eq!(approval, Approval::Warning);
    assert!(
        message.contains("stays with the older workspace older"),
        "{message}"
    );
    let (_, message) = said(&translator, &Subject::Workspace(place(&admin(), "older")));
    assert!(
        message.contains("workspace younger selects namespaces of it"),
        "{message}"
    );
}

#[test]
fn what_one_imports_and_the_other_does_not_export_stays_closed_and_so_the_other_way_round() {
    for (exports, imports, open) in [
        (false, true, false),
        (true, false, false),
        (true, true, true),
    ] {
        let mut world = world(&["shop", "bank"]);
        workspace(&mut world, "shop", "1", over(&["shop"]));
        workspace(&mut world, "bank", "2", over(&["bank"]));
        let mut shop = isolated();
        let mut bank = isolated();
        if exports {
            shop.export_to = with("bank");
        }
        if imports {
            bank.import_from = with("shop");
        }
        settings(&mut world, "shop", shop);
        settings(&mut world, "bank", bank);
        let translator = settled(world);
        let expected: &[&str] = if open { &["bank", "shop"] } else { &["shop"] };
        assert_eq!(let_in(&translator, "shop"), expected, "{exports} {imports}");
    }
}

#[test]
fn an_access_policy_that_selects_nothing_changes_nothing_and_says_so() {
    let choice = |name: &str| ObjectChoice {
        name: Some(name.to_owned()),
        ..ObjectChoice::default()
    };
    let policy = |destination: &str| AccessPolicySpec {
        apply_to_destinations: vec![DestinationChoice {
            selector: choice(destination),
            ..DestinationChoice::default()
        }],
        config: Config {
            authz_list: vec![Authz {
                allowed_clients: vec![Client {
                    service_account_selector: Some(choice("*")),
                    ..Client::default()
                }],
                ..Authz::default()
            }],
            ..Config::default()
        },
        ..AccessPolicySpec::default()
    };
    let nothing = AccessPolicySpec {
        apply_to_destinations: Vec::new(),
        ..policy("web")
    };
    for spec in [policy("nowhere"), nothing] {
        let mut world = world(&["shop"]);
        workspace(&mut world, "team", "1", over(&["shop"]));
        settings(&mut world, "shop", isolated());
        let without = settled(world.clone());
        let at = place(&shop("shop"), "policy");
        world.put(&at, Object::Policy(written("1", spec)));
        let translator = settled(world);
        assert!(translator.rules().eq(without.rules()));
        let (approval, message) = said(&translator, &Subject::Policy(at));
        assert_eq!(approval, Approval::Warning);
        assert!(message.contains("selects nothing"), "{message}");
    }
}

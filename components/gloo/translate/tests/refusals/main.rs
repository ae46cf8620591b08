//! Resources that say too little or contradict each other: nobody is let in by them, and each says so.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

mod access;

use gloo_api::{
    AccessPolicySpec, Approval, DashboardSpec, WorkspaceSettingsSpec, WorkspaceSpec,
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
    verdict::{Status, Subject},
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
    let state = status.map(Status::state);
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
    let part = |name: Option<&str>, namespace: NamespaceChoice| WorkspaceSpec {
        workload_clusters: vec![WorkloadCluster {
            name: name.map(str::to_owned),
            namespaces: vec![namespace],
            ..WorkloadCluster::default()
        }],
    };
    let all = || over(&["*"]).workload_clusters[0].namespaces[0].clone();
    // Neither name nor labels: nothing selected is nobody, not everybody.
    let (no_cluster, no_namespace) = (
        part(None, all()),
        part(Some("*"), NamespaceChoice::default()),
    );
    let nowhere = part(Some("elsewhere"), all());
    for spec in [WorkspaceSpec::default(), nowhere, no_cluster, no_namespace] {
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
    // Their names would say otherwise.
    workspace(
        &mut world,
        "new",
        "2026-02-01T00:00:00Z",
        over(&["shop", "bank"]),
    );
    workspace(&mut world, "old", "2026-01-01T00:00:00Z", over(&["shop"]));
    settings(&mut world, "shop", isolated());
    settings(&mut world, "bank", isolated());
    let translator = settled(world);
    assert_eq!(let_in(&translator, "shop"), ["shop"]);
    assert_eq!(let_in(&translator, "bank"), ["bank"]);
    let (approval, message) = said(&translator, &Subject::Workspace(place(&admin(), "new")));
    assert_eq!(approval, Approval::Warning);
    assert!(
        message.contains("stays with the older workspace old"),
        "{message}"
    );
    let (_, message) = said(&translator, &Subject::Workspace(place(&admin(), "old")));
    assert!(
        message.contains("workspace new selects namespaces of it"),
        "{message}"
    );
}

/// One exports to the other, or the other imports from it, or both.
fn share(exporter: &str, importer: &str, exports: bool, imports: bool) {
    let mut world = world(&["shop", "bank"]);
    for name in [exporter, importer] {
        workspace(&mut world, name, "1", over(&[name]));
        let mut spec = isolated();
        if exports && name == exporter {
            spec.export_to = with(importer);
        }
        if imports && name == importer {
            spec.import_from = with(exporter);
        }
        settings(&mut world, name, spec);
    }
    let translator = settled(world);
    let open = exports && imports;
    let mut expected = vec![exporter];
    expected.extend(open.then_some(importer));
    expected.sort_unstable();
    assert_eq!(
        let_in(&translator, exporter),
        expected,
        "{exports} {imports}"
    );
    for (says, name, words) in [
        (exports, exporter, "no workspace named here imports from it"),
        (imports, importer, "no workspace named here exports to it"),
    ] {
        let subject = Subject::Settings(place(&shop(name), "settings"));
        let (_, message) = said(&translator, &subject);
        let alone = says && !open;
        assert_eq!(message.contains(words), alone, "{name}: {message}");
    }
}

#[test]
fn what_one_imports_and_the_other_does_not_export_stays_closed_and_so_the_other_way_round() {
    // Whichever of them is looked at first.
    for (exporter, importer) in [("shop", "bank"), ("bank", "shop")] {
        for (exports, imports) in [(false, true), (true, false), (true, true)] {
            share(exporter, importer, exports, imports);
        }
    }
}

#[test]
fn a_dashboard_says_that_nothing_follows_it_and_which_of_its_fields_nothing_ever_would() {
    let oidc = serde_json::json!({
        "appUrl": "https://ui.example.org", "clientId": "ui", "clientSecretName": "ui",
        "issuerUrl": "https://id.example.org", "session": {"cookie": {}}, "discoveryPollInterval": "1h",
    });
    let spec: DashboardSpec =
        serde_json::from_value(serde_json::json!({"authn": {"oidc": oidc}})).unwrap();
    let mut world = world(&["shop"]);
    for slot in [admin(), shop("shop")] {
        let dashboard = Object::Dashboard(Box::new(written("1", spec.clone())));
        world.put(&place(&slot, "settings"), dashboard);
    }
    let mut translator = settled(world);
    let fields = "not supported: spec.authn.oidc.session, spec.authn.oidc.discoveryPollInterval";
    for (slot, wanted, words) in [
        (
            admin(),
            Approval::Warning,
            "it is for the UI, which this release does not have",
        ),
        (
            shop("shop"),
            Approval::Invalid,
            "dashboards live in the namespace gloo-mesh of the management cluster",
        ),
    ] {
        let subject = Subject::Dashboard(place(&slot, "settings"));
        let message = format!("not followed: {words}; {fields}");
        assert_eq!(said(&translator, &subject), (wanted, message));
    }
    // One that is changed is looked at again.
    let plain = Object::Dashboard(Box::new(written("1", DashboardSpec::default())));
    translator.put(&place(&admin(), "settings"), plain);
    translator.settle();
    let subject = Subject::Dashboard(place(&admin(), "settings"));
    let (_, message) = said(&translator, &subject);
    assert!(!message.contains("not supported"), "{message}");
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

#[test]
fn a_workspace_that_shares_with_everybody_and_is_alone_shares_nothing_and_says_so() {
    let mut world = world(&["shop"]);
    workspace(&mut world, "team", "1", over(&["shop"]));
    let everybody = WorkspaceSettingsSpec {
        import_from: with("*"),
        export_to: with("*"),
        ..isolated()
    };
    settings(&mut world, "shop", everybody);
    let translator = settled(world);
    let subject = Subject::Settings(place(&shop("shop"), "settings"));
    let (approval, message) = said(&translator, &subject);
    assert_eq!(approval, Approval::Warning);
    for other in ["exports to it", "imports from it"] {
        let words = format!("no workspace named here {other}");
        assert!(message.contains(&words), "{message}");
    }
    let status = translator.status(&Subject::Workspace(place(&admin(), "team")));
    let Some(Status::Workspace(status)) = status else {
        panic!("{status:?}");
    };
    assert_eq!(
        (status.num_imported_services, status.num_exported_services),
        (0, 0)
    );
}

#[test]
fn of_two_settings_of_a_workspace_the_older_are_in_force_and_the_others_say_so() {
    let mut world = world(&["shop"]);
    workspace(&mut world, "team", "1", over(&["shop"]));
    let (older, younger) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    for (name, created, spec) in [
        ("a", younger, isolated()),
        ("b", older, WorkspaceSettingsSpec::default()),
    ] {
        let settings = Object::Settings(written(created, spec));
        world.put(&place(&shop("shop"), name), settings);
    }
    let translator = settled(world);
    assert_eq!(translator.rules().count(), 0);
    let (approval, message) = said(&translator, &Subject::Settings(place(&shop("shop"), "a")));
    assert_eq!(approval, Approval::Invalid);
    assert!(message.contains("has the settings b already"), "{message}");
}

#[test]
fn configuration_is_read_unless_the_nearer_of_two_words_says_that_it_is_not() {
    for (of_part, of_choice, read) in [
        (None, None, true),
        (Some(false), None, false),
        (Some(false), Some(true), true),
        (Some(true), Some(false), false),
    ] {
        let mut world = world(&["shop"]);
        let mut spec = over(&["shop"]);
        let part = &mut spec.workload_clusters[0];
        part.config_enabled = of_part;
        part.namespaces[0].config_enabled = of_choice;
        workspace(&mut world, "team", "1", spec);
        settings(&mut world, "shop", isolated());
        let translator = settled(world);
        let rules = translator.rules().count();
        assert_eq!(rules, usize::from(read), "{of_part:?} {of_choice:?}");
        let subject = Subject::Settings(place(&shop("shop"), "settings"));
        let (approval, message) = said(&translator, &subject);
        let expected = if read {
            Approval::Accepted
        } else {
            Approval::Invalid
        };
        assert_eq!(approval, expected, "{message}");
    }
}

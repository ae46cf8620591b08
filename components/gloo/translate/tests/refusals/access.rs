//! Access policies with a part that cannot be followed: what is left of them lets in no more than their author meant, and each
//! says which part it is.

use std::collections::BTreeSet;

use gloo_api::{AccessPolicySpec, Approval, WorkspaceSettingsSpec};
use gloo_translate::{Rule, Translator, verdict::Subject, world::Object};
use serde_json::{Value, json};

use super::{isolated, over, place, said, settings, settled, shop, workspace, world, written};

/// Everybody of the workspace.
fn anybody() -> Value {
    json!({"allowedClients": [{"serviceAccountSelector": {"name": "*"}}]})
}

/// About service `web` of the namespace.
fn policy(entries: &[Value]) -> Value {
    json!({
        "applyToDestinations": [{"selector": {"name": "web"}}],
        "config": {"authzList": entries},
    })
}

/// What a workspace over `shop` with service `web` comes to, in which this policy is.
fn with(policy: &Value, isolation: bool) -> Translator {
    let mut world = world(&["shop"]);
    workspace(&mut world, "team", "1", over(&["shop"]));
    if isolation {
        settings(&mut world, "shop", isolated());
    }
    let spec: AccessPolicySpec = serde_json::from_value(policy.clone()).unwrap();
    let policy = Object::Policy(written("1", spec));
    world.put(&place(&shop("shop"), "policy"), policy);
    settled(world)
}

fn verdict(translator: &Translator) -> (Approval, String) {
    said(translator, &Subject::Policy(place(&shop("shop"), "policy")))
}

/// Accounts and networks that some rule lets in.
fn let_in(translator: &Translator) -> BTreeSet<String> {
    let rules: Vec<&Rule> = translator.rules().map(|(_, rule)| rule).collect();
    let accounts = rules.iter().flat_map(|rule| &rule.peers);
    let blocks = rules.iter().flat_map(|rule| &rule.blocks);
    accounts
        .map(|peer| peer.account.clone())
        .chain(blocks.map(ToString::to_string))
        .collect()
}

fn expect(policy: &Value, approval: Approval, words: &str, let_in_: &[&str]) {
    let translator = with(policy, false);
    let (judged, message) = verdict(&translator);
    assert_eq!(judged, approval, "{policy}: {message}");
    assert!(message.contains(words), "{policy}: {message}");
    let expected: BTreeSet<String> = let_in_.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(let_in(&translator), expected, "{policy}");
    assert_eq!(translator.rules().count(), 1, "{policy}");
}

#[test]
fn a_policy_that_is_followed_in_full_says_nothing() {
    let translator = with(&policy(&[anybody()]), false);
    assert_eq!(verdict(&translator), (Approval::Accepted, String::new()));
    assert_eq!(let_in(&translator), ["web".to_owned()].into());
}

#[test]
fn an_entry_with_a_part_that_is_not_followed_lets_in_nobody_and_the_others_do() {
    let blocks = |blocks: &[&str]| json!({"allowedIpBlocks": blocks});
    let with = |mut entry: Value, name: &str, value: Value| {
        entry[name] = value;
        entry
    };
    let cases = [
        (
            with(anybody(), "allowedPaths", json!(["/"])),
            Approval::Invalid,
            "spec.config.authzList[0].allowedPaths not supported; the entry lets in nobody",
        ),
        (
            with(anybody(), "allowedIpBlocks", json!(["10.0.0.0/8"])),
            Approval::Invalid,
            "spec.config.authzList[0] wants pods and outside addresses at once",
        ),
        (
            blocks(&["everywhere"]),
            Approval::Invalid,
            "spec.config.authzList[0].allowedIpBlocks[0] is no network",
        ),
        (
            json!({}),
            Approval::Warning,
            "spec.config.authzList[0] names nobody and lets in nobody",
        ),
        (
            with(anybody(), "dryRun", json!(true)),
            Approval::Warning,
            "entries with dryRun beside others let in nobody",
        ),
    ];
    for (entry, approval, words) in cases {
        let other = blocks(&["192.168.7.1/16"]);
        let both = policy(&[entry, other]);
        expect(&both, approval, words, &["192.168.0.0/16"]);
    }
}

#[test]
fn a_policy_that_lets_in_nobody_says_so() {
    expect(&policy(&[]), Approval::Warning, "it lets in nobody", &[]);
}

#[test]
fn what_gloo_says_elsewhere_of_who_the_other_side_is_is_named() {
    let mut authn = policy(&[anybody()]);
    authn["config"]["authn"] = json!({"tlsMode": "STRICT"});
    let words = "spec.config.authn is not supported";
    expect(&authn, Approval::Warning, words, &["web"]);
    let mut older = policy(&[]);
    older["config"]["authz"] = anybody();
    let words = "spec.config.authz is not supported and lets in nobody";
    expect(&older, Approval::Invalid, words, &[]);
}

#[test]
fn a_destination_of_another_kind_is_refused_and_the_one_beside_it_followed() {
    let mut both = policy(&[anybody()]);
    let other = json!({"kind": "EXTERNAL_SERVICE"});
    both["applyToDestinations"]
        .as_array_mut()
        .unwrap()
        .push(other);
    let words = "spec.applyToDestinations[1].kind is not supported";
    expect(&both, Approval::Invalid, words, &["web"]);
}

#[test]
fn a_policy_that_no_layer_enforces_closes_nothing_and_says_so() {
    for isolation in [false, true] {
        let mut nowhere = policy(&[]);
        nowhere["config"]["enforcementLayers"] = json!({"cni": false});
        let translator = with(&nowhere, isolation);
        let (approval, message) = verdict(&translator);
        assert_eq!(approval, Approval::Warning, "{message}");
        assert!(message.contains("it is enforced nowhere"), "{message}");
        // Isolation stays as it is without the policy.
        assert_eq!(translator.rules().count(), usize::from(isolation));
        assert_eq!(let_in(&translator).contains("web"), isolation);
    }
}

#[test]
fn a_policy_on_trial_leaves_isolation_as_it_is() {
    let mut entry = json!({"allowedIpBlocks": ["10.0.0.0/8"]});
    entry["dryRun"] = json!(true);
    let translator = with(&policy(&[entry]), true);
    assert_eq!(let_in(&translator), ["web".to_owned()].into());
    assert_eq!(translator.trials().count(), 1);
}

#[test]
fn workloads_are_not_opened_past_the_isolation_of_services() {
    let workloads = json!({
        "applyToWorkloads": [{"selector": {"labels": {"pods": "web"}}}],
        "config": {"authzList": [{"allowedIpBlocks": ["10.0.0.0/8"]}]},
    });
    let open = with(&workloads, false);
    assert_eq!(verdict(&open), (Approval::Accepted, String::new()));
    assert_eq!(let_in(&open), ["10.0.0.0/8".to_owned()].into());
    let isolated = with(&workloads, true);
    let (approval, message) = verdict(&isolated);
    assert_eq!(approval, Approval::Invalid);
    assert!(message.contains("write applyToDestinations"), "{message}");
    assert_eq!(let_in(&isolated), ["web".to_owned()].into());
}

#[test]
fn a_policy_lets_in_accounts_of_workspaces_that_the_service_is_shared_with_and_of_no_others() {
    for shared in [false, true] {
        let mut world = world(&["shop", "bank"]);
        let mut exporting = WorkspaceSettingsSpec::default();
        let mut importing = exporting.clone();
        exporting.export_to = super::with("bank");
        if shared {
            importing.import_from = super::with("shop");
        }
        for (name, spec) in [("shop", exporting), ("bank", importing)] {
            workspace(&mut world, name, "1", over(&[name]));
            settings(&mut world, name, spec);
        }
        let spec = serde_json::from_value(policy(&[anybody()])).unwrap();
        let policy = Object::Policy(written("1", spec));
        world.put(&place(&shop("shop"), "policy"), policy);
        let let_in = super::let_in(&settled(world), "shop");
        let expected: &[&str] = if shared { &["bank", "shop"] } else { &["shop"] };
        assert_eq!(let_in, expected);
    }
}

/// Of the two ports of service `web`, those that the policy closes.
fn closed(port: Value) -> Vec<String> {
    let mut world = world(&["shop"]);
    workspace(&mut world, "team", "1", over(&["shop"]));
    let at = place(&shop("shop"), "web");
    let mut service = world.namespaces[&shop("shop")].services["web"].clone();
    let mut other = service.ports[0].clone();
    (other.name, other.number) = (Some("admin".to_owned()), 81);
    "8081".clone_into(&mut other.pod.port);
    service.ports.push(other);
    world.put(&at, Object::Service(service));
    let mut spec = policy(&[]);
    spec["applyToDestinations"][0]["port"] = port;
    let spec: AccessPolicySpec = serde_json::from_value(spec).unwrap();
    world.put(&at, Object::Policy(written("1", spec)));
    let translator = settled(world);
    let rules = translator.rules();
    let ports = rules.flat_map(|(_, rule)| &rule.ports);
    ports.map(|port| port.port.clone()).collect()
}

#[test]
fn of_a_service_only_the_port_that_is_named_is_closed() {
    assert_eq!(closed(json!(null)), ["8080", "8081"]);
    assert_eq!(closed(json!({"number": 81})), ["8081"]);
    assert_eq!(closed(json!({"name": "http"})), ["8080"]);
    assert!(closed(json!({"name": "http", "number": 81})).is_empty());
}

#[test]
fn a_service_that_cannot_be_closed_is_named_and_the_one_beside_it_closed() {
    let mut world = world(&["shop", "kube-system"]);
    workspace(&mut world, "team", "1", over(&["shop", "kube-system"]));
    let mut service = world.namespaces[&shop("shop")].services["web"].clone();
    service.selector.clear();
    let outside = place(&shop("shop"), "outside");
    world.put(&outside, Object::Service(service));
    let all = json!({"applyToDestinations": [{}]});
    let spec: AccessPolicySpec = serde_json::from_value(all).unwrap();
    let policy = Object::Policy(written("1", spec));
    world.put(&place(&shop("shop"), "policy"), policy);
    let translator = settled(world);
    let (approval, message) = verdict(&translator);
    assert_eq!(approval, Approval::Warning, "{message}");
    for name in ["shop/outside", "kube-system/web"] {
        let words = format!("service {name} in west is not protected");
        assert!(message.contains(&words), "{message}");
    }
    let closed: Vec<_> = translator.rules().collect();
    assert_eq!(closed.len(), 1, "{closed:?}");
    assert_eq!(closed[0].1.selector["pods"], "web");
}

#[test]
fn a_status_repeats_twenty_sentences_and_counts_the_rest() {
    let nobody = vec![json!({}); 25];
    let (_, message) = verdict(&with(&policy(&nobody), false));
    // "it lets in nobody" is one more.
    assert_eq!(message.matches("names nobody").count(), 20, "{message}");
    assert!(message.ends_with("; and 6 more"), "{message}");
}

use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;

fn policy(name: &str, spec: &Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": "u", "resourceVersion": "7"},
        "spec": spec,
    })
}

fn good() -> Value {
    json!({"endpointSelector": {}, "ingress": [{"fromEndpoints": [{"matchLabels": {"app": "web"}}]}]})
}

fn with_group() -> Value {
    json!({"endpointSelector": {}, "egress": [{"toCIDRSet": [{"cidr": "10.0.0.0/8"}, {"cidrGroupRef": "partners"}]}]})
}

fn misspelt() -> Value {
    json!({"endpointSelector": {}, "ingress": [{"fromEndpointz": [{}]}]})
}

fn world(policies: &[Value], groups: &[&str]) -> World {
    let world = World::default();
    world.cidr_groups.take(Event::Init);
    for name in groups {
        let group =
            json!({"metadata": {"name": name}, "spec": {"externalCIDRs": ["192.0.2.0/24"]}});
        world
            .cidr_groups
            .take(Event::InitApply(serde_json::from_value(group).unwrap()));
    }
    world.cidr_groups.take(Event::InitDone);
    world.cilium_nodes.take(Event::Init);
    world.cilium_nodes.take(Event::InitDone);
    for policy in policies {
        world.policies.take(Event::Apply(
            serde_json::from_value(policy.clone()).unwrap(),
        ));
    }
    world
}

/// Status, reason, message and time to be written, by policy.
fn said(world: &World) -> Vec<(String, &'static str, String, Option<String>)> {
    let metrics = Arc::new(Metrics::default());
    let writes = PolicyValidity::new(metrics)
        .decide(world, Instant::now())
        .writes;
    writes
        .into_iter()
        .map(|write| match write {
            Write::PolicyValid {
                policy,
                status,
                message,
                since,
                ..
            } => (policy.key.name, status, message, since),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn with_condition(mut policy: Value, status: &str, reason: &str, message: &str) -> Value {
    policy["status"] = json!({"conditions": [
        {"type": "Other", "status": "True"},
        {"type": "Valid", "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]});
    policy
}

#[test]
fn a_policy_that_is_followed_is_valid_and_one_that_is_not_names_the_field() {
    let said = said(&world(
        &[policy("good", &good()), policy("bad", &misspelt())],
        &[],
    ));
    assert_eq!((said[0].0.as_str(), said[0].1), ("bad", "False"));
    assert!(
        said[0].2.contains("spec.ingress[0].fromEndpointz"),
        "{said:?}"
    );
    assert_eq!(
        (said[1].1, said[1].2.as_str()),
        ("True", "Policy validation succeeded")
    );
}

#[test]
fn a_group_that_is_not_there_is_named_until_it_is() {
    let policies = [policy("p", &with_group())];
    let missing = said(&world(&policies, &[]));
    assert_eq!(missing[0].1, "False");
    assert!(
        missing[0].2.contains(
            "spec.egress[0].toCIDRSet[1].cidrGroupRef: there is no CiliumCIDRGroup partners"
        ),
        "{missing:?}"
    );
    assert_eq!(said(&world(&policies, &["partners"]))[0].1, "True");
}

#[test]
fn groups_of_several_rules_have_their_rules_in_the_path() {
    let specs = json!([good(), with_group()]);
    let paths: Vec<String> = references(Some(&specs), "specs")
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(paths, ["specs[1].egress[0].toCIDRSet[1].cidrGroupRef"]);
}

#[test]
fn nothing_is_said_before_all_groups_are_known() {
    let world = World::default();
    let policy = policy("p", &with_group());
    world
        .policies
        .take(Event::Apply(serde_json::from_value(policy).unwrap()));
    assert_eq!(said(&world), []);
}

#[test]
fn what_is_said_already_is_not_said_again() {
    let known = with_condition(
        policy("p", &good()),
        "True",
        "Followed",
        "Policy validation succeeded",
    );
    assert_eq!(said(&world(&[known], &[])), []);
}

#[test]
fn the_time_stays_while_the_status_does() {
    let other_words = with_condition(policy("p", &good()), "True", "Followed", "older words");
    let said_now = said(&world(&[other_words], &[]));
    assert_eq!(said_now[0].3.as_deref(), Some("2026-01-01T00:00:00Z"));
    let was_false = with_condition(policy("p", &good()), "False", "NotFollowed", "x");
    assert_eq!(said(&world(&[was_false], &[]))[0].3, None);
}

#[test]
fn an_object_that_cannot_be_read_is_told_so_and_its_neighbour_is_judged() {
    let mut broken = policy("broken", &good());
    broken["status"] = json!({"conditions": "none"});
    let said = said(&world(&[broken, policy("good", &good())], &[]));
    assert_eq!((said[0].0.as_str(), said[0].1), ("good", "True"));
    assert_eq!((said[1].0.as_str(), said[1].1), ("broken", "False"));
    assert!(
        said[1].2.starts_with("the object: cannot be read"),
        "{said:?}"
    );
}

#[test]
fn a_clusterwide_policy_is_judged_too() {
    let world = world(&[], &[]);
    let policy = json!({"metadata": {"name": "p"}, "spec": misspelt()});
    world
        .clusterwide_policies
        .take(Event::Apply(serde_json::from_value(policy).unwrap()));
    assert_eq!(said(&world)[0].1, "False");
}

fn complain(world: &World, node: &str, annotation: &str) {
    let node = json!({
        "metadata": {"name": node, "annotations": {UNPLACED_ANNOTATION: annotation}}, "spec": {},
    });
    let node = serde_json::from_value(node).unwrap();
    world.cilium_nodes.take(Event::Apply(node));
}

#[test]
fn a_policy_that_has_no_room_on_a_node_says_so_itself_and_its_namesakes_do_not() {
    let mut elsewhere = policy("wide", &good());
    elsewhere["metadata"]["namespace"] = json!("bank");
    let world = world(&[policy("wide", &good()), elsewhere], &[]);
    complain(
        &world,
        "worker-1",
        r#"[{"kind": "CiliumNetworkPolicy", "namespace": "shop", "name": "wide"}]"#,
    );
    complain(&world, "worker-2", "no list");
    let said = said(&world);
    let of = |status: &str| {
        said.iter()
            .filter(|said| said.1 == status)
            .collect::<Vec<_>>()
    };
    assert_eq!((of("True").len(), of("False").len()), (1, 1));
    let told = &of("False")[0].2;
    assert!(
        told.starts_with("the datapath of worker-1: has no room"),
        "{told}"
    );
}

#[test]
fn a_message_names_the_first_and_counts_the_others() {
    let refusals: Vec<Refusal> = (0..25)
        .map(|number| Refusal::new(format!("spec.x[{number}]"), "no"))
        .collect();
    let message = message(&refusals);
    assert!(message.starts_with("spec.x[0]: no; "), "{message}");
    assert!(message.ends_with("; and 5 more"), "{message}");
}

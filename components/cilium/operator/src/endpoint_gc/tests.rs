use cilium_api::LabelSet;
use kube::runtime::watcher::Event;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn endpoint(ip: &str) -> CiliumEndpoint {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "1"}]},
        "status": {"networking": {"addressing": [{"ipv4": ip}]}},
    }))
    .unwrap()
}

fn pod(uid: &str, phase: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": uid},
        "spec": {"containers": [], "nodeName": "worker-1"}, "status": {"phase": phase},
    }))
    .unwrap()
}

fn node() -> CiliumNode {
    serde_json::from_value(json!({
        "metadata": {"name": "worker-1"},
        "spec": {
            "addresses": [{"type": "InternalIP", "ip": "172.30.0.11"}],
            "ipam": {"podCIDRs": ["10.244.1.0/24"]},
        },
    }))
    .unwrap()
}

#[test]
fn an_endpoint_with_its_pod_stays() {
    assert_eq!(
        fault(
            &endpoint("10.244.1.5"),
            Some(&pod("1", "Running")),
            Some(&node())
        ),
        None
    );
    assert_eq!(
        fault(&endpoint("10.244.9.5"), Some(&pod("1", "Running")), None),
        None
    );
}

#[test]
fn an_endpoint_whose_pod_is_gone_finished_or_another_is_an_orphan() {
    let endpoint = endpoint("10.244.1.5");
    for pod in [
        None,
        Some(pod("2", "Running")),
        Some(pod("1", "Failed")),
        Some(pod("1", "Succeeded")),
    ] {
        assert_eq!(
            fault(&endpoint, pod.as_ref(), Some(&node())),
            Some(Fault::Orphan)
        );
    }
}

#[test]
fn an_address_of_another_node_is_a_fault() {
    let fault = fault(
        &endpoint("10.244.2.5"),
        Some(&pod("1", "Running")),
        Some(&node()),
    );
    assert_eq!(fault, Some(Fault::ForeignAddress([10, 244, 2, 5].into())));
}

/// Its node's agent cannot mend it, for it seems to be another's.
#[test]
fn an_endpoint_at_an_address_that_its_node_has_no_more_is_a_fault() {
    let at = |ip: &str| {
        let mut endpoint = serde_json::to_value(endpoint("10.244.1.5")).unwrap();
        endpoint["status"]["networking"]["node"] = json!(ip);
        let pod = pod("1", "Running");
        fault(&read(&endpoint), Some(&pod), Some(&node()))
    };
    assert_eq!(at("172.30.0.11"), None);
    let before = [172, 30, 0, 99].into();
    assert_eq!(at("172.30.0.99"), Some(Fault::ForeignNode(before)));
}

/// Pod `shop/web` with this `app`.
fn labelled(app: &str) -> Value {
    let mut pod = serde_json::to_value(pod("1", "Running")).unwrap();
    pod["metadata"]["labels"] = json!({"app": app, "pod-template-hash": "5d4"});
    pod
}

fn namespace(labels: &Value) -> Value {
    json!({"metadata": {"name": "shop", "labels": labels}})
}

fn read<T: serde::de::DeserializeOwned>(object: &Value) -> T {
    serde_json::from_value(object.clone()).unwrap()
}

fn claiming(number: u32) -> CiliumEndpoint {
    let mut endpoint = serde_json::to_value(endpoint("10.244.1.5")).unwrap();
    endpoint["status"]["identity"] = json!({"id": number});
    read(&endpoint)
}

fn labels_of(pod: &Value, namespace: &Value, cluster: &str) -> LabelSet {
    identity_labels(&read(pod), &read(namespace), cluster)
}

/// What is found when the number of `labels` is claimed for the pod with `app: web`.
fn claim(labels: LabelSet) -> Option<Fault> {
    let identity = CiliumIdentity::new(NumericIdentity(300), labels);
    let (pod, namespace) = (labelled("web"), namespace(&json!({"team": "a"})));
    borrowed(&claiming(300), &read(&pod), &read(&namespace), &identity)
}

#[test]
fn the_number_of_another_pods_labels_is_a_fault() {
    let shop = namespace(&json!({"team": "a"}));
    let mut payments = labelled("web");
    payments["metadata"]["namespace"] = json!("payments");
    let elsewhere = json!({"metadata": {"name": "payments", "labels": {"team": "a"}}});
    let mut other_account = labelled("web");
    other_account["spec"]["serviceAccountName"] = json!("admin");
    for labels in [
        labels_of(&labelled("api"), &shop, "west"),
        labels_of(&labelled("web"), &namespace(&json!({"team": "b"})), "west"),
        labels_of(&payments, &elsewhere, "west"),
        labels_of(&other_account, &shop, "west"),
        LabelSet::default(),
    ] {
        let text = labels.canonical();
        let found = claim(labels);
        assert_eq!(
            found,
            Some(Fault::ForeignIdentity(NumericIdentity(300))),
            "{text}"
        );
    }
}

#[test]
fn a_number_from_before_the_cluster_was_named_otherwise_is_none() {
    let shop = namespace(&json!({"team": "a"}));
    assert_eq!(claim(labels_of(&labelled("web"), &shop, "east")), None);
}

/// The pod `shop/web` with its endpoint on `worker-1`; 300 to 302 are the numbers of `app` `a` to `c`.
fn world(app: &str, number: u32) -> World {
    let world = World::default();
    let node = json!({"metadata": {"name": "worker-1"}, "spec": {"ipam": {"podCIDRs": ["10.244.1.0/24"]}}});
    let shop = namespace(&json!({}));
    world.cilium_nodes.take(Event::InitApply(read(&node)));
    world.cilium_nodes.take(Event::InitDone);
    world.namespaces.take(Event::Apply(read(&shop)));
    for (i, app) in (300..).zip(["a", "b", "c"]) {
        let labels = labels_of(&labelled(app), &shop, "west");
        let identity = CiliumIdentity::new(NumericIdentity(i), labels);
        let object = serde_json::to_value(identity).unwrap();
        world.identities.take(Event::Apply(read(&object)));
    }
    world.pods.take(Event::Init);
    world.pods.take(Event::InitApply(read(&labelled(app))));
    world.pods.take(Event::InitDone);
    let claim = serde_json::to_value(claiming(number)).unwrap();
    world.endpoints.take(Event::Init);
    world.endpoints.take(Event::InitApply(read(&claim)));
    world.endpoints.take(Event::InitDone);
    world
}

fn duty() -> EndpointGc {
    EndpointGc::new(Duration::from_mins(9), Arc::new(Metrics::default()))
}

#[test]
fn an_endpoint_with_another_pods_number_goes_when_it_has_it_too_long_and_somebody_is_told() {
    let (mut duty, start, world) = (duty(), Instant::now(), world("a", 301));
    let first = duty.decide(&world, start);
    assert_eq!((first.writes, first.again), (Vec::new(), Some(AWAY)));
    let writes = duty.decide(&world, start + AWAY).writes;
    let [
        Write::Event { reason, note, .. },
        Write::DeleteEndpoint(target),
    ] = &writes[..]
    else {
        panic!("{writes:?}");
    };
    assert_eq!(target.key.to_string(), "shop/web");
    assert_eq!(*reason, "EndpointIdentityRefused");
    assert!(
        note.starts_with("identity 301 of CiliumEndpoint shop/web stands for other labels"),
        "{note}"
    );
}

#[test]
fn numbers_are_compared_now_and_then_and_what_was_put_right_meanwhile_is_no_fault() {
    let (wrong, right, soon) = (world("a", 301), world("a", 300), COMPARE / 2);
    // Whether the last of these looks removes something.
    let removes = |looks: &[(&World, Duration)]| {
        let (mut duty, start) = (duty(), Instant::now());
        looks.iter().fold(false, |_, (world, after)| {
            !duty.decide(world, start + *after).writes.is_empty()
        })
    };
    let first = (&wrong, Duration::ZERO);
    // Between two comparisons nothing is forgotten …
    assert!(removes(&[first, (&right, soon), (&wrong, AWAY)]));
    // … and nothing removed.
    let early = (&wrong, AWAY.saturating_sub(soon));
    assert!(!removes(&[first, early, (&wrong, AWAY)]));
    assert!(removes(&[
        first,
        early,
        (&wrong, AWAY),
        (&wrong, AWAY + soon)
    ]));
    assert!(!removes(&[first, (&right, COMPARE), (&wrong, AWAY)]));
}

#[test]
fn what_waits_for_a_comparison_does_not_wait_longer() {
    let (mut duty, start, world) = (duty(), Instant::now(), world("a", 301));
    duty.decide(&world, start);
    let look = duty.decide(&world, start + COMPARE / 3);
    assert_eq!(look.again, Some(COMPARE * 2 / 3));
}

#[test]
fn a_number_that_stands_for_nothing_known_or_is_reserved_stays() {
    for number in [999, 5, 4] {
        let (mut duty, start, world) = (duty(), Instant::now(), world("a", number));
        duty.decide(&world, start);
        let writes = duty.decide(&world, start + AWAY * 2).writes;
        assert_eq!(writes, [], "{number}");
    }
}

proptest! {
    #[test]
    fn the_number_of_a_pods_own_labels_is_never_a_fault(
        pod_labels in prop::collection::btree_map("[a-z./]{1,40}", "[a-z]{0,3}", 0..6),
        namespace_labels in prop::collection::btree_map("[a-z./]{1,20}", "[a-z]{0,3}", 0..4),
        account in "[a-z]{0,4}",
        cluster in "[a-z]{1,4}",
    ) {
        let mut pod = labelled("web");
        pod["metadata"]["labels"] = json!(pod_labels);
        pod["spec"]["serviceAccountName"] = json!(account);
        let namespace = namespace(&json!(namespace_labels));
        let identity = CiliumIdentity::new(NumericIdentity(300), labels_of(&pod, &namespace, &cluster));
        let found = borrowed(&claiming(300), &read(&pod), &read(&namespace), &identity);
        prop_assert_eq!(found, None);
    }

    /// Its pod may be labelled anew as often as anybody likes, and it may be away for minutes.
    #[test]
    fn an_agent_that_writes_what_its_pod_is_loses_no_endpoint(
        rounds in prop::collection::vec((0..3_u32, any::<bool>()), 1..30),
    ) {
        let (mut duty, start) = (duty(), Instant::now());
        let (mut written, mut late) = (300, 0);
        for (round, (app, writes)) in (0..).zip(rounds) {
            let due = 300 + app;
            late = if written == due { 0 } else { late + 1 };
            // It may be away for three rounds.
            if writes || late == 4 {
                (written, late) = (due, 0);
            }
            let world = world(["a", "b", "c"][app as usize], written);
            let now = start + AWAY / 3 * round;
            prop_assert_eq!(duty.decide(&world, now).writes, []);
        }
    }
}

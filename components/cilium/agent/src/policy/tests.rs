use cilium_api::NumericIdentity;
use datapath::{Fake, PolicyKey, Verdict};

use super::*;
use crate::kubernetes::Readers;
use kube::runtime::watcher::Event;
use serde_json::json;

struct Node {
    policies: Policies,
    datapath: Arc<Fake>,
    watched: Watched,
    store: Store,
    folder: tempfile::TempDir,
}

fn node() -> Node {
    let folder = tempfile::tempdir().unwrap();
    let datapath = Arc::new(Fake::new());
    let store = Store::open(folder.path()).unwrap();
    let policies = start(&store, &datapath);
    Node {
        policies,
        datapath,
        watched: Watched::new(&Readers::default()),
        store,
        folder,
    }
}

fn start(store: &Store, datapath: &Arc<Fake>) -> Policies {
    Policies::new(datapath.clone(), store.clone(), 100).unwrap()
}

fn web() -> Subject {
    Subject {
        identity: 300,
        ..Subject::default()
    }
}

impl Node {
    fn know_identity(&self) {
        let labels = [
            ("k8s:app", "web"),
            ("k8s:io.kubernetes.pod.namespace", "shop"),
        ];
        let object =
            cilium_api::CiliumIdentity::new(NumericIdentity(300), labels.into_iter().collect());
        let guarded = serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap();
        self.watched.identities.take(Ok(Event::Apply(guarded)));
    }

    fn isolate(&self, cidr: &str) {
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"namespace": "shop", "name": "only", "uid": "u"},
            "spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": cidr}}]}]},
        });
        let guarded = serde_json::from_value(policy).unwrap();
        self.watched
            .network_policies
            .take(Ok(Event::Apply(guarded)));
    }

    fn forget_policy(&self) {
        let gone = self.watched.network_policies.get("shop", "only").unwrap();
        let gone = serde_json::from_value(serde_json::to_value(&*gone).unwrap()).unwrap();
        self.watched.network_policies.take(Ok(Event::Delete(gone)));
    }

    fn pass(&self) -> Pass {
        self.pass_with(&[])
    }

    fn pass_with(&self, local: &[Endpoint]) -> Pass {
        let around = Surroundings {
            local,
            ..Surroundings::default()
        };
        self.policies.pass(&self.watched, &around)
    }

    fn judges(&self, number: u32, identity: u32) -> Verdict {
        let everyone = PolicyKey {
            identity,
            direction: datapath::Direction::Ingress,
            protocol: 0,
            port: 0,
            port_bits: 0,
        };
        self.datapath.policy(number).unwrap().unwrap()[&everyone].verdict
    }
}

#[test]
fn nothing_is_ready_before_the_sources_were_looked_at_once() {
    let node = node();
    assert!(!node.policies.ready());
    node.pass();
    assert!(node.policies.ready());
}

#[test]
fn a_pod_that_no_policy_selects_is_open_and_one_that_is_selected_is_not() {
    let node = node();
    node.know_identity();
    node.pass();
    let number = node.policies.admit(&web()).unwrap();
    assert_eq!(node.judges(number, 0), Verdict::Allow);
    assert_eq!(node.policies.enforcement(number).unwrap().word(), "none");
    node.isolate("192.0.2.0/24");
    assert_eq!(node.pass().failures, Vec::<String>::new());
    assert_eq!(node.judges(number, 0), Verdict::DefaultDeny);
    assert_eq!(node.policies.enforcement(number).unwrap().word(), "ingress");
}

#[test]
fn pods_that_are_alike_share_a_policy_and_named_ports_make_a_difference() {
    let node = node();
    node.pass();
    let first = node.policies.admit(&web()).unwrap();
    assert_eq!(node.policies.admit(&web()).unwrap(), first);
    let mut other = web();
    other
        .named_ports
        .insert(("http".to_owned(), 6), [80].into());
    assert_ne!(node.policies.admit(&other).unwrap(), first);
}

#[test]
fn the_revision_counts_what_the_datapath_has_and_never_goes_back() {
    let node = node();
    node.know_identity();
    node.isolate("192.0.2.0/24");
    assert_eq!(node.policies.revision(), 0);
    node.pass();
    assert_eq!(node.policies.revision(), 1);
    // Everything is told anew.
    let around = Surroundings {
        runs_api_server: true,
        ..Surroundings::default()
    };
    node.policies.pass(&node.watched, &around);
    assert_eq!(node.policies.revision(), 2);
}

#[test]
fn a_prefix_keeps_its_number_over_a_restart() {
    let node = node();
    node.know_identity();
    node.isolate("192.0.2.0/24");
    node.pass();
    node.policies.admit(&web()).unwrap();
    let before = node.datapath.blocks().unwrap();
    assert!(!before.is_empty());
    let again = start(&node.store, &node.datapath);
    node.isolate("192.0.2.0/24");
    again.pass(&node.watched, &Surroundings::default());
    again.admit(&web()).unwrap();
    assert_eq!(node.datapath.blocks().unwrap(), before);
}

#[test]
fn where_the_numbers_cannot_be_read_the_running_datapath_says_them() {
    let node = node();
    node.know_identity();
    // Numbers that a new count would not come to.
    for (prefix, number) in [
        ("10.244.1.1/32", 40),
        ("172.30.0.0/24", 40),
        ("192.0.2.0/24", 50),
    ] {
        let prefix = prefix.parse().unwrap();
        node.datapath.upsert_block(prefix, number).unwrap();
    }
    let file = node.folder.path().join("prefixes.json");
    std::fs::write(file, r#"{"version": 99}"#).unwrap();
    let again = start(&node.store, &node.datapath);
    for prefix in ["172.30.0.0/24", "192.0.2.0/24"] {
        node.isolate(prefix);
        again.pass(&node.watched, &Surroundings::default());
        again.admit(&web()).unwrap();
        let numbers = node.store.prefixes().unwrap();
        let expected = if prefix == "192.0.2.0/24" { 50 } else { 40 };
        assert_eq!(numbers[&prefix.parse().unwrap()], expected);
    }
}

#[test]
fn policies_of_an_earlier_process_stay_while_pods_use_them_and_numbers_do_not_come_twice() {
    let node = node();
    node.pass();
    let old = node.policies.admit(&web()).unwrap();
    let again = start(&node.store, &node.datapath);
    again.pass(&node.watched, &Surroundings::default());
    let new = again.admit(&web()).unwrap();
    assert_ne!(old, new);
    let now = Instant::now();
    again.release(&[old, new].into(), now).unwrap();
    assert_eq!(node.datapath.policies().unwrap(), [old, new]);
    again.release(&[new].into(), now).unwrap();
    again.release(&[new].into(), now + IDLE).unwrap();
    assert_eq!(node.datapath.policies().unwrap(), [new]);
}

#[test]
fn an_identity_that_waits_for_its_labels_is_isolated() {
    let node = node();
    node.pass();
    let init = Subject {
        identity: NumericIdentity::INIT.0,
        ..Subject::default()
    };
    let number = node.policies.admit(&init).unwrap();
    assert_eq!(node.judges(number, 0), Verdict::DefaultDeny);
}

pub(super) fn pod_of_shop() -> Endpoint {
    let endpoint = json!({
        "id": 7, "attachment": {"container-id": "c", "ifname": "eth0"},
        "pod": {"namespace": "shop", "name": "slow", "uid": "u"},
        "ip": "10.244.1.7", "mac": "02:00:00:00:00:01", "host-mac": "02:00:00:00:00:02",
        "ifindex": 9, "interface": "lxc7", "identity": 300, "labels": [], "policy": 0, "state": "ready",
    });
    serde_json::from_value(endpoint).unwrap()
}

/// A pod of a namespace that is isolated, and the number of its policy.
fn isolated() -> (Node, [Endpoint; 1], u32) {
    let node = node();
    node.know_identity();
    node.isolate("192.0.2.0/24");
    let local = [pod_of_shop()];
    node.pass_with(&local);
    let number = node.policies.admit(&web()).unwrap();
    (node, local, number)
}

/// T35: a namespace's policies are deleted before its pods have ended.
#[test]
fn isolation_holds_until_the_last_pod_of_a_namespace_that_is_gone_has_ended() {
    let (node, local, number) = isolated();
    assert_eq!(node.judges(number, 0), Verdict::DefaultDeny);
    node.forget_policy();
    node.pass_with(&local);
    assert_eq!(node.judges(number, 0), Verdict::DefaultDeny);
    node.pass_with(&[]);
    assert_eq!(node.judges(number, 0), Verdict::Allow);
}

impl Node {
    /// Another agent, and whether it isolates the pods of the namespace.
    fn isolates_after_restart(&mut self, local: &[Endpoint]) -> bool {
        self.policies = start(&self.store, &self.datapath);
        assert_eq!(self.pass_with(local).failures, Vec::<String>::new());
        let number = self.policies.admit(&web()).unwrap();
        self.judges(number, 0) == Verdict::DefaultDeny
    }
}

#[test]
fn isolation_in_a_namespace_that_is_gone_outlives_the_agent_and_ends_with_the_last_pod() {
    let (mut node, local, _) = isolated();
    node.forget_policy();
    node.pass_with(&local);
    for _ in 0..2 {
        assert!(node.isolates_after_restart(&local));
    }
    node.pass_with(&[]);
    assert!(!node.isolates_after_restart(&local));
}

#[test]
fn isolation_holds_in_a_namespace_that_ended_while_no_agent_ran() {
    let (mut node, local, _) = isolated();
    node.forget_policy();
    assert!(node.isolates_after_restart(&local));
}

#[test]
fn a_policy_that_was_deleted_while_no_agent_ran_is_gone_where_its_namespace_stays() {
    let (mut node, local, _) = isolated();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    let guarded = serde_json::from_value(namespace).unwrap();
    node.watched.namespaces.take(Ok(Event::Apply(guarded)));
    node.forget_policy();
    assert!(!node.isolates_after_restart(&local));
}

/// `zone: trusted` is met by whoever has the label and is believed.
#[test]
fn a_node_that_claims_anothers_address_lends_it_no_labels() {
    let node = node();
    node.know_identity();
    let policy = json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": {"namespace": "shop", "name": "only", "uid": "u"},
        "spec": {"endpointSelector": {}, "ingress": [{"fromNodes": [{"matchLabels": {"zone": "trusted"}}]}]},
    });
    let guarded = serde_json::from_value(policy).unwrap();
    node.watched.policies.take(Ok(Event::Apply(guarded)));
    node.policies.admit(&web()).unwrap();
    let tell = |object| {
        let guarded = serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap();
        node.watched.nodes.take(Ok(Event::Apply(guarded)));
    };
    let trusted = |name: &str, second: u8, ip: &str, cidr: &str| {
        let mut object = crate::nodes::tests::node(name, second, ip, cidr);
        object.metadata.labels = Some([("zone".to_owned(), "trusted".to_owned())].into());
        tell(object);
    };
    let met = || {
        node.pass();
        let blocks = node.datapath.blocks().unwrap();
        let prefixes = blocks.into_iter().map(|(prefix, _)| prefix.to_string());
        prefixes.collect::<Vec<_>>()
    };
    let owner = crate::nodes::tests::node("owner", 1, "172.30.0.11", "10.244.1.0/24");
    tell(owner);
    trusted("thief", 2, "172.30.0.11", "10.244.2.0/24");
    assert_eq!(met(), Vec::<String>::new());
    trusted("thief", 2, "172.30.0.12", "10.244.2.0/24");
    assert_eq!(met(), ["172.30.0.12/32"]);
    trusted("thief", 2, "172.30.0.11", "10.244.2.0/24");
    assert_eq!(met(), Vec::<String>::new());
}

#[test]
fn isolation_in_a_namespace_that_is_gone_holds_when_the_api_server_comes_to_this_node() {
    let (node, local, number) = isolated();
    node.forget_policy();
    for local in [&local[..], &[]] {
        let around = Surroundings {
            local,
            runs_api_server: true,
            ..Surroundings::default()
        };
        node.policies.pass(&node.watched, &around);
        let isolated = node.judges(number, 0) == Verdict::DefaultDeny;
        assert_eq!(isolated, !local.is_empty());
    }
}

#[test]
fn a_policy_that_was_too_large_is_named_until_it_is_gone() {
    let node = node();
    node.know_identity();
    node.pass();
    let number = node.policies.admit(&web()).unwrap();
    let peers: Vec<_> = (0..200)
        .map(|n| json!({"ipBlock": {"cidr": format!("192.0.{n}.0/24")}}))
        .collect();
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": "shop", "name": "large", "uid": "u"},
        "spec": {"podSelector": {}, "ingress": [{"from": peers}]},
    });
    let take = |event: fn(_) -> _| {
        let guarded = serde_json::from_value(policy.clone()).unwrap();
        node.watched.network_policies.take(Ok(event(guarded)));
        assert_eq!(node.pass().failures, Vec::<String>::new());
    };
    take(Event::Apply);
    assert!(node.policies.too_large().contains_key(&number));
    take(Event::Delete);
    assert!(node.policies.too_large().is_empty());
    assert!(node.policies.unplaced().is_empty());
}

#[test]
fn changes_are_counted_once_each_by_whether_all_of_the_policy_is_followed() {
    let node = node();
    let around = Surroundings::default();
    let proxied = json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": {"namespace": "shop", "name": "proxied", "uid": "u"},
        "spec": {"endpointSelector": {}, "ingress": [{"toPorts": [{
            "ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{}]},
        }]}]},
    });
    node.isolate("10.0.0.0/8");
    let guarded = serde_json::from_value(proxied).unwrap();
    node.watched.policies.take(Ok(Event::Apply(guarded)));
    let counted = |whole, in_part| Changes { whole, in_part };
    for _ in 0..2 {
        node.policies.pass(&node.watched, &around);
        assert_eq!(node.policies.changes(), counted(1, 1));
    }
    node.forget_policy();
    node.policies.pass(&node.watched, &around);
    assert_eq!(node.policies.changes(), counted(2, 1));
    // What is told anew is no change.
    let runs_api_server = true;
    let around = Surroundings {
        runs_api_server,
        ..around
    };
    node.policies.pass(&node.watched, &around);
    assert_eq!(node.policies.changes(), counted(2, 1));
}

#[test]
fn connections_are_judged_anew_when_a_policy_of_the_nodes_pods_changes_and_only_then() {
    let node = node();
    node.know_identity();
    node.pass();
    node.policies.admit(&web()).unwrap();
    let after = |change: &dyn Fn()| {
        let before = node.datapath.epoch();
        change();
        assert_eq!(node.pass().failures, Vec::<String>::new());
        node.datapath.epoch() - before
    };
    assert_eq!(after(&|| ()), 0);
    assert_eq!(after(&|| node.isolate("192.0.2.0/24")), 1);
    assert_eq!(after(&|| node.isolate("192.0.2.0/24")), 0);
    assert_eq!(after(&|| node.isolate("198.51.100.0/24")), 1);
    assert_eq!(after(&|| node.forget_policy()), 1);
    assert_eq!(after(&|| node.know_identity()), 0);
}

//! Network policies of every kind, held against the pods there are.

mod cilium;
mod kubernetes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cilium_api::identity_labels::{identity_labels, is_reserved};
use gloo_record::{
    NetworkPolicies,
    network_policies::{Namespace, Policy},
};
use k8s_openapi::api::core::v1::{Namespace as K8sNamespace, Pod};
use kube::ResourceExt;

use crate::{
    pods,
    reader::{AnalyzeError, Reader},
};

const SYSTEM: [&str; 5] = [
    "gloo-mesh",
    "gloonet-system",
    "kube-node-lease",
    "kube-public",
    "kube-system",
];
/// Policies that are told; the rest is a number.
const TOLD: usize = 500;

/// One policy, of whichever kind.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of its own"
)]
struct Rule {
    policy: Policy,
    /// Places in the list of pods.
    selected: BTreeSet<usize>,
    /// It isolates what it selects, by direction.
    ingress: bool,
    egress: bool,
    /// It denies something, whatever others allow.
    denies: bool,
    /// It selects every pod of its namespace, whatever there comes.
    whole: bool,
}

/// A pod of the pod network.
#[derive(Debug)]
struct Member {
    namespace: String,
    /// Its own, and those of its identity: of its namespace, cluster and ServiceAccount.
    labels: BTreeMap<String, String>,
}

pub(super) fn run(reader: &Reader) -> Result<NetworkPolicies, AnalyzeError> {
    let world = &reader.world;
    let members = members(
        &world.pods.all()?,
        &world.namespaces.all()?,
        reader.args.cluster_name.as_str(),
    );
    let mut rules = Vec::new();
    for policy in world.network_policies.all()? {
        rules.push(kubernetes::rule(&policy, &members));
    }
    for policy in world.cilium_policies.all()? {
        rules.push(cilium::rule("CiliumNetworkPolicy", &policy, &members));
    }
    for policy in world.cilium_clusterwide.all()? {
        rules.push(cilium::rule(
            "CiliumClusterwideNetworkPolicy",
            &policy,
            &members,
        ));
    }
    Ok(record(rules, &members))
}

fn members(all: &[Arc<Pod>], namespaces: &[Arc<K8sNamespace>], cluster: &str) -> Vec<Member> {
    let on_network = |pod: &&Arc<Pod>| pods::running(pod) && !pods::on_host_network(pod);
    let known: BTreeMap<String, &K8sNamespace> = namespaces
        .iter()
        .map(|namespace| (namespace.name_any(), namespace.as_ref()))
        .collect();
    let unknown = K8sNamespace::default();
    all.iter()
        .filter(on_network)
        .map(|pod| {
            let name = pod.namespace().unwrap_or_default();
            let namespace = known.get(&name).copied().unwrap_or(&unknown);
            Member {
                labels: labels(pod, namespace, cluster),
                namespace: name,
            }
        })
        .collect()
}

/// As the agent selects by them, without their source. Of a pod's own also those that make no identity: who selects by one with another
/// CNI selects something, and Cilium refuses such a policy in its status.
fn labels(pod: &Pod, namespace: &K8sNamespace, cluster: &str) -> BTreeMap<String, String> {
    let said = identity_labels(pod, namespace, cluster);
    let said = said.as_map().iter().map(|(key, value)| {
        let name = key.split_once(':').map_or(key.as_str(), |(_, name)| name);
        (name.to_owned(), value.clone())
    });
    let own = pod.labels().iter().filter(|(key, _)| !is_reserved(key));
    let own = own.map(|(key, value)| (key.clone(), value.clone()));
    own.chain(said).collect()
}

fn record(mut rules: Vec<Rule>, members: &[Member]) -> NetworkPolicies {
    shadows(&mut rules);
    let namespaces = namespaces(&rules, members);
    let total = rules.len();
    let told = rules
        .into_iter()
        .map(|rule| rule.policy)
        .filter(remarkable)
        .take(TOLD);
    NetworkPolicies {
        remarkable: told.collect(),
        total,
        namespaces,
    }
}

fn remarkable(policy: &Policy) -> bool {
    policy.selects == 0
        || policy.invalid.is_some()
        || policy.allows_all_ingress
        || policy.allows_all_egress
        || policy.from_world
        || policy.host
        || policy.shadowed_by.is_some()
}

/// Names, at each policy, one that allows all its pods everything in every direction it restricts.
fn shadows(rules: &mut [Rule]) {
    let open: Vec<(String, bool, bool, BTreeSet<usize>)> = rules
        .iter()
        .filter(|rule| rule.policy.invalid.is_none())
        .map(|rule| {
            let policy = &rule.policy;
            let ways = (policy.allows_all_ingress, policy.allows_all_egress);
            (policy.sentence(), ways.0, ways.1, rule.selected.clone())
        })
        .filter(|(_, ingress, egress, _)| *ingress || *egress)
        .collect();
    for rule in rules {
        let own = &rule.policy;
        let restricts = rule.ingress || rule.egress;
        if rule.denies || !restricts || rule.selected.is_empty() {
            continue;
        }
        if own.allows_all_ingress || own.allows_all_egress {
            continue;
        }
        let by = open.iter().find(|(_, ingress, egress, selected)| {
            (!rule.ingress || *ingress)
                && (!rule.egress || *egress)
                && rule.selected.is_subset(selected)
        });
        rule.policy.shadowed_by = by.map(|(name, ..)| name.clone());
    }
}

fn namespaces(rules: &[Rule], members: &[Member]) -> Vec<Namespace> {
    let (mut ingress, mut egress) = (BTreeSet::<usize>::new(), BTreeSet::<usize>::new());
    let mut denied: BTreeSet<&str> = BTreeSet::new();
    for rule in rules {
        if rule.ingress {
            ingress.extend(&rule.selected);
            if rule.whole {
                denied.insert(&rule.policy.namespace);
            }
        }
        if rule.egress {
            egress.extend(&rule.selected);
        }
    }
    let mut all: BTreeMap<&str, Namespace> = BTreeMap::new();
    for (at, member) in members.iter().enumerate() {
        let name = member.namespace.as_str();
        let namespace = all.entry(name).or_insert_with(|| Namespace {
            name: name.to_owned(),
            default_deny: denied.contains(name),
            system: SYSTEM.contains(&name),
            ..Namespace::default()
        });
        namespace.pods += 1;
        namespace.ingress_isolated += usize::from(ingress.contains(&at));
        namespace.egress_isolated += usize::from(egress.contains(&at));
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A pod of a namespace that is labelled `team: blue`, in cluster `west`.
    pub(super) fn member(namespace: &str, app: &str) -> Member {
        let pod = json!({
            "metadata": {"name": app, "namespace": namespace, "labels": {"app": app}},
            "spec": {"containers": [], "serviceAccountName": app},
            "status": {"phase": "Running"},
        });
        let object = json!({"metadata": {"name": namespace, "labels": {"team": "blue"}}});
        let pod = Arc::new(serde_json::from_value(pod).unwrap());
        let object = Arc::new(serde_json::from_value(object).unwrap());
        members(&[pod], &[object], "west").remove(0)
    }

    fn policy(name: &str, spec: serde_json::Value) -> Rule {
        let mut object = json!({"metadata": {"name": name, "namespace": "shop"}});
        object["spec"] = spec;
        kubernetes::rule(&serde_json::from_value(object).unwrap(), &pods())
    }

    fn pods() -> Vec<Member> {
        vec![
            member("shop", "web"),
            member("shop", "db"),
            member("bank", "web"),
        ]
    }

    #[test]
    fn a_namespace_is_as_closed_as_its_policies_make_it() {
        let web =
            json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]});
        let record = record(vec![policy("web", web)], &pods());
        let of = |name: &str| {
            record
                .namespaces
                .iter()
                .find(|one| one.name == name)
                .unwrap()
        };
        assert_eq!((of("shop").pods, of("shop").ingress_isolated), (2, 1));
        assert_eq!(of("bank").ingress_isolated, 0);
        assert!(!of("shop").default_deny);
        assert!(record.remarkable.is_empty());
    }

    #[test]
    fn a_policy_over_the_whole_namespace_closes_it() {
        let all = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
        let record = record(vec![policy("all", all)], &pods());
        let shop = record
            .namespaces
            .iter()
            .find(|one| one.name == "shop")
            .unwrap();
        assert!(shop.default_deny);
        assert_eq!((shop.ingress_isolated, shop.egress_isolated), (2, 2));
    }

    #[test]
    fn what_another_policy_opens_is_shadowed_and_what_denies_is_not() {
        let open = || json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]});
        let web =
            || json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]});
        let both = || json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
        let shadow = |spec| {
            let record = record(vec![policy("open", open()), policy("own", spec)], &pods());
            let own = record.remarkable.into_iter().find(|one| one.name == "own");
            own.and_then(|own| own.shadowed_by)
        };
        assert_eq!(shadow(web()).as_deref(), Some("NetworkPolicy shop/open"));
        // It also restricts egress, which nobody opens.
        assert_eq!(shadow(both()), None);
    }

    #[test]
    fn a_network_policy_may_select_by_what_the_cni_says_and_by_a_label_that_makes_no_identity() {
        let selects = |labels| {
            let spec = json!({"podSelector": {"matchLabels": labels}});
            policy("p", spec).policy.selects
        };
        let account = |name| json!({"io.cilium.k8s.policy.serviceaccount": name});
        assert_eq!(selects(account("web")), 1);
        assert_eq!(selects(account("nobody")), 0);
        let mut pod = Pod::default();
        let (hash, lie) = ("pod-template-hash", "io.cilium.k8s.policy.cluster");
        pod.metadata.labels = Some(
            [hash, lie]
                .map(|key| (key.to_owned(), "x".to_owned()))
                .into(),
        );
        let labels = labels(&pod, &K8sNamespace::default(), "west");
        assert_eq!((labels[hash].as_str(), labels[lie].as_str()), ("x", "west"));
    }

    #[test]
    fn a_policy_for_nobody_is_told() {
        let none =
            json!({"podSelector": {"matchLabels": {"app": "gone"}}, "policyTypes": ["Ingress"]});
        let record = record(vec![policy("old", none)], &pods());
        assert_eq!((record.total, record.remarkable[0].selects), (1, 0));
    }
}

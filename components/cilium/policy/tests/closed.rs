//! T32, T33, T34 and what else is easier to read as a case than as a property.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cilium_policy::{
    Direction, NamedPorts, Options, PolicyId, PolicyKind, Repository, Service, ServiceName,
    Subject, SubjectId, Verdict,
    testing::{Packet, kernel, scene},
    validate,
};
use ipnet::Ipv4Net;
use serde_json::Value;
use std::net::Ipv4Addr;

const POD: SubjectId = SubjectId(1);
const OUTSIDE: &str = "203.0.113.5";

/// Two namespaces with two pods each; the pod under test is `web` of `red`, identity 256.
fn cluster() -> Repository {
    let mut repository = Repository::new(Options::default());
    for (number, namespace, app) in [
        (256, "red", "web"),
        (257, "red", "db"),
        (258, "blue", "web"),
        (259, "blue", "db"),
    ] {
        let labels = [
            ("k8s:app", app),
            ("k8s:io.cilium.k8s.policy.cluster", "default"),
            ("k8s:io.kubernetes.pod.namespace", namespace),
        ];
        repository.upsert_identity(number, labels.into_iter().collect());
    }
    repository.upsert_subject(
        POD,
        Subject {
            identity: 256,
            ..Subject::default()
        },
    );
    repository
}

fn policy(yaml: &str) -> (PolicyId, Value) {
    let object: Value = serde_norway::from_str(yaml).unwrap();
    let kind = match object["kind"].as_str().unwrap() {
        "NetworkPolicy" => PolicyKind::NetworkPolicy,
        "CiliumNetworkPolicy" => PolicyKind::CiliumNetworkPolicy,
        _ => PolicyKind::CiliumClusterwideNetworkPolicy,
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let id = PolicyId {
        kind,
        namespace: text(&object["metadata"]["namespace"]),
        name: text(&object["metadata"]["name"]),
    };
    (id, object)
}

/// The cluster with policies, and their refusals.
fn with(policies: &[&str]) -> (Repository, Vec<String>) {
    let mut repository = cluster();
    let mut refusals = Vec::new();
    for yaml in policies {
        let (id, object) = policy(yaml);
        scene::feed_policy(&mut repository, &id, &object);
        refusals.extend(repository.refusals(&id).iter().map(ToString::to_string));
    }
    repository.commit();
    (repository, refusals)
}

fn judged(
    repository: &Repository,
    direction: Direction,
    identity: u32,
    address: &str,
    port: u16,
) -> Verdict {
    let packet = Packet {
        subject: 0,
        direction,
        identity,
        address: address.parse().unwrap(),
        protocol: 6,
        port,
    };
    kernel::judge(
        repository.state(POD).unwrap(),
        repository.prefixes(),
        &packet,
    )
}

fn from(repository: &Repository, identity: u32) -> Verdict {
    judged(repository, Direction::Ingress, identity, "10.0.0.9", 80)
}

fn to_world(repository: &Repository) -> Verdict {
    judged(repository, Direction::Egress, 2, OUTSIDE, 443)
}

fn cnp(spec: &str) -> String {
    format!(
        "kind: CiliumNetworkPolicy\napiVersion: cilium.io/v2\nmetadata: {{name: p, namespace: red}}\nspec: {spec}\n"
    )
}

fn ccnp(spec: &str) -> String {
    format!(
        "kind: CiliumClusterwideNetworkPolicy\napiVersion: cilium.io/v2\nmetadata: {{name: p}}\nspec: {spec}\n"
    )
}

#[test]
fn t32_a_negative_requirement_never_leaves_the_namespace_nor_chooses_what_is_no_pod() {
    for expression in [
        "{key: 'k8s:io.kubernetes.pod.namespace', operator: NotIn, values: [green]}",
        "{key: 'k8s:io.kubernetes.pod.namespace', operator: DoesNotExist}",
        "{key: 'reserved:init', operator: DoesNotExist}",
        "{key: 'reserved:world', operator: NotIn, values: [x]}",
        "{key: app, operator: NotIn, values: [x]}",
    ] {
        let rule = format!(
            "{{endpointSelector: {{}}, ingress: [{{fromEndpoints: [{{matchExpressions: [{expression}]}}]}}]}}"
        );
        let (repository, refusals) = with(&[&cnp(&rule)]);
        assert_eq!(refusals, Vec::<String>::new());
        for stranger in [258, 259, 2, 6, 7, 8, 5] {
            assert_eq!(
                from(&repository, stranger),
                Verdict::DefaultDeny,
                "{expression} {stranger}"
            );
        }
        let (repository, _) = with(&[&ccnp(&rule)]);
        for stranger in [2, 6, 7, 8, 5] {
            assert_eq!(
                from(&repository, stranger),
                Verdict::DefaultDeny,
                "{expression} {stranger}"
            );
        }
    }
}

#[test]
fn t32_a_policy_is_for_pods_of_its_namespace_only_whatever_it_says() {
    for selector in [
        "{matchExpressions: [{key: 'reserved:init', operator: DoesNotExist}]}",
        "{matchLabels: {'k8s:io.kubernetes.pod.namespace': red}}",
        "{}",
    ] {
        let foreign = cnp(&format!(
            "{{endpointSelector: {selector}, ingress: [{{}}], egress: [{{}}]}}"
        ))
        .replace("namespace: red}", "namespace: blue}");
        let (repository, _) = with(&[&foreign]);
        assert_eq!(from(&repository, 257), Verdict::Allow, "{selector}");
        assert!(repository.policies_of(POD).is_empty());
    }
}

/// Elements of a list of egress rules that speak of nobody, and the path under which they are refused; empty when nothing is
/// wrong with them.
const CLOSED: [(&str, &str); 20] = [
    ("{toEndpoints: []}", ""),
    ("{toCIDR: []}", ""),
    ("{toEntities: []}", ""),
    ("{toCIDRSet: [{cidrGroupRef: missing}]}", "cidrGroupRef: "),
    (
        "{toServices: [{k8sService: {serviceName: missing}}]}",
        "k8sService: ",
    ),
    ("{toEndpointz: [{}]}", "spec.egress[0]"),
    ("{toEntities: [universe]}", "spec.egress[0].toEntities[0]: "),
    (
        "{toFQDNs: [{matchName: example.com}]}",
        "spec.egress[0].toFQDNs: ",
    ),
    ("{toGroups: [{aws: {}}]}", "spec.egress[0].toGroups: "),
    (
        "{toRequires: [{}], toEntities: [all]}",
        "spec.egress[0].toRequires: ",
    ),
    (
        "{toEntities: [all], authentication: {mode: required}}",
        "spec.egress[0].authentication: ",
    ),
    (
        "{toPorts: [{ports: [{port: '443'}], rules: {http: [{}]}}]}",
        "spec.egress[0].toPorts[0].rules: ",
    ),
    (
        "{toPorts: [{ports: [{port: '443'}], serverNames: [a]}]}",
        "spec.egress[0].toPorts[0].serverNames: ",
    ),
    (
        "{toPorts: [{ports: [{port: '443'}], terminatingTLS: {}}]}",
        "spec.egress[0].toPorts[0].terminatingTLS: ",
    ),
    (
        "{toPorts: [{ports: [{port: '443'}], listener: {}}]}",
        "spec.egress[0].toPorts[0].listener: ",
    ),
    (
        "{toPorts: [{ports: [{port: '443', protokol: TCP}]}]}",
        "spec.egress[0].toPorts[0].ports[0]",
    ),
    (
        "{toEntities: [world], toCIDR: [0.0.0.0/0]}",
        "spec.egress[0].toEntities: stands beside toCIDR",
    ),
    (
        "{toPorts: [{ports: [{port: '443'}]}], icmps: [{fields: [{type: 8}]}]}",
        "spec.egress[0].icmps: ",
    ),
    ("{toCIDR: [10.0.0.0/33]}", "spec.egress[0].toCIDR[0]: "),
    ("{toPorts: [{}]}", "spec.egress[0].toPorts[0].ports: "),
];

#[test]
fn t33_empty_unresolved_and_unknown_parts_stay_closed_and_are_named() {
    for (element, named) in CLOSED {
        let (repository, refusals) = with(&[&cnp(&format!(
            "{{endpointSelector: {{}}, egress: [{element}]}}"
        ))]);
        assert_eq!(to_world(&repository), Verdict::DefaultDeny, "{element}");
        assert_eq!(
            refusals.iter().any(|r| r.starts_with(named)),
            !named.is_empty(),
            "{element}: {refusals:?}"
        );
        if named.starts_with("spec") {
            let (repository, _) = with(&[&cnp(&format!(
                "{{endpointSelector: {{}}, egressDeny: [{element}], enableDefaultDeny: {{egress: false}}}}"
            ))]);
            assert_eq!(to_world(&repository), Verdict::Deny, "deny {element}");
        }
    }
}

#[test]
fn t33_what_concerns_the_whole_rule_isolates_and_allows_nothing() {
    let open = "ingress: [{fromEntities: [all]}], egress: [{toEntities: [all]}]";
    for (rule, named) in [
        (
            format!("{{endpointSelector: {{}}, {open}, ingresDeny: []}}"),
            "spec.ingresDeny: ",
        ),
        (
            format!("{{endpointSelector: {{matchLabelz: {{}}}}, {open}}}"),
            "spec.endpointSelector",
        ),
        (
            format!("{{endpointSelector: {{matchLabels: {{pod-template-hash: x}}}}, {open}}}"),
            "spec.endpointSelector: ",
        ),
        (format!("{{{open}}}"), "spec.endpointSelector: "),
        (
            format!("{{endpointSelector: {{}}, nodeSelector: {{}}, {open}}}"),
            "spec.nodeSelector: ",
        ),
        ("[]".to_owned(), "spec: "),
    ] {
        for yaml in [cnp(&rule), ccnp(&rule)] {
            let (repository, refusals) = with(&[&yaml]);
            assert_eq!(
                (from(&repository, 257), to_world(&repository)),
                (Verdict::DefaultDeny, Verdict::DefaultDeny),
                "{yaml}"
            );
            assert!(
                refusals.iter().any(|r| r.starts_with(named)),
                "{yaml}: {refusals:?}"
            );
        }
    }
    let (repository, refusals) = with(&[&ccnp(
        "{nodeSelector: {}, ingressDeny: [{fromEntities: [all]}]}",
    )]);
    assert_eq!(from(&repository, 257), Verdict::Allow);
    assert!(refusals[0].starts_with("spec.nodeSelector: "));
}

#[test]
fn t34_deny_beats_allow_at_every_pair_of_widths_and_within_500_networks() {
    let ports = [
        "",
        ", toPorts: [{ports: [{port: '0', protocol: TCP}]}]",
        ", toPorts: [{ports: [{port: '440', endPort: 447, protocol: TCP}]}]",
        ", toPorts: [{ports: [{port: '443', protocol: TCP}]}]",
    ];
    let peers = [
        "toEntities: [all]",
        "toEntities: [world]",
        "toCIDR: [203.0.113.0/24]",
        "toCIDR: [203.0.113.5/32]",
    ];
    for (allow_to, deny_to) in peers.iter().flat_map(|a| peers.iter().map(move |d| (a, d))) {
        for (allow_port, deny_port) in ports.iter().flat_map(|a| ports.iter().map(move |d| (a, d)))
        {
            let yaml = cnp(&format!(
                "{{endpointSelector: {{}}, egress: [{{{allow_to}{allow_port}}}], egressDeny: [{{{deny_to}{deny_port}}}]}}"
            ));
            let (repository, _) = with(&[&yaml]);
            assert_eq!(to_world(&repository), Verdict::Deny, "{yaml}");
        }
    }
    let networks: Vec<String> = (0..500)
        .map(|i| format!("203.{}.{}.0/24", i / 250, i % 250))
        .collect();
    let yaml = cnp(&format!(
        "{{endpointSelector: {{}}, egress: [{{toCIDR: [0.0.0.0/0]}}], egressDeny: [{{toCIDR: [{}]}}]}}",
        networks.join(", ")
    ));
    let (repository, _) = with(&[&yaml]);
    assert_eq!(repository.prefixes().len(), 501);
    for i in [0, 1, 249, 250, 499] {
        let address = format!("203.{}.{}.7", i / 250, i % 250);
        assert_eq!(
            judged(&repository, Direction::Egress, 2, &address, 1),
            Verdict::Deny
        );
    }
    assert_eq!(
        judged(&repository, Direction::Egress, 2, "203.2.0.7", 1),
        Verdict::Allow
    );
}

/// The address with one bit turned: in the other half of the network of this length around it.
fn beside(address: Ipv4Addr, length: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits() ^ (0x8000_0000 >> (length - 1)))
}

#[test]
fn t34_an_allowed_and_a_denied_network_of_any_two_lengths_mean_what_they_say_within_and_just_outside()
 {
    let address: Ipv4Addr = OUTSIDE.parse().unwrap();
    let around = |length| Ipv4Net::new(address, length).unwrap().trunc();
    let mut repository = cluster();
    for (allowed, denied) in (0..=32).flat_map(|a| (0..=32).map(move |d| (around(a), around(d)))) {
        let (id, object) = policy(&cnp(&format!(
            "{{endpointSelector: {{}}, egress: [{{toCIDR: [{allowed}]}}], egressDeny: [{{toCIDR: [{denied}]}}]}}"
        )));
        scene::feed_policy(&mut repository, &id, &object);
        repository.commit();
        let lengths = [allowed, denied].map(|network| network.prefix_len());
        let just_outside = lengths.into_iter().filter(|length| *length > 0);
        let outside = just_outside.map(|length| beside(address, length));
        for address in outside.chain([address]) {
            let meant = if denied.contains(&address) {
                Verdict::Deny
            } else if allowed.contains(&address) {
                Verdict::Allow
            } else {
                Verdict::DefaultDeny
            };
            let at = address.to_string();
            let judged = judged(&repository, Direction::Egress, 2, &at, 443);
            assert_eq!(
                judged, meant,
                "{address}: {allowed} allowed, {denied} denied"
            );
        }
    }
}

#[test]
fn the_node_reaches_its_own_pods_whatever_is_denied() {
    let (repository, _) = with(&[&cnp(
        "{endpointSelector: {}, ingressDeny: [{fromEntities: [all, host, cluster]}]}",
    )]);
    assert_eq!(
        judged(&repository, Direction::Ingress, 1, "192.168.0.1", 80),
        Verdict::Allow
    );
    assert_eq!(from(&repository, 257), Verdict::Deny);
}

#[test]
fn wide_entities_are_one_entry_each() {
    for (entity, identity) in [("world", 2), ("cluster", 11), ("all", 0)] {
        let (repository, _) = with(&[&cnp(&format!(
            "{{endpointSelector: {{}}, egress: [{{toEntities: [{entity}]}}]}}"
        ))]);
        let state = repository.state(POD).unwrap();
        let allowed: Vec<u32> = state
            .iter()
            .filter(|(k, e)| k.direction == Direction::Egress && e.verdict == Verdict::Allow)
            .map(|(k, _)| k.identity)
            .collect();
        assert_eq!(allowed, [identity]);
    }
}

#[test]
fn a_subject_of_which_nothing_is_known_is_isolated() {
    let mut repository = cluster();
    let unknown = SubjectId(2);
    repository.upsert_subject(
        unknown,
        Subject {
            identity: 4711,
            ..Subject::default()
        },
    );
    let changes = repository.commit();
    assert!(
        changes.subjects[&unknown].ingress_enforced && changes.subjects[&unknown].egress_enforced
    );
    assert!(!changes.subjects[&POD].ingress_enforced);
    let verdicts: Vec<Verdict> = repository
        .state(unknown)
        .unwrap()
        .values()
        .map(|e| e.verdict)
        .collect();
    assert_eq!(
        verdicts,
        [Verdict::DefaultDeny, Verdict::DefaultDeny, Verdict::Allow]
    );
}

#[test]
fn a_map_that_would_not_fit_is_refused_by_the_name_of_its_policy_and_the_old_one_stays() {
    let mut repository = Repository::new(Options {
        max_entries: 6,
        ..Options::default()
    });
    repository.upsert_identity(
        256,
        [("k8s:io.kubernetes.pod.namespace", "red")]
            .into_iter()
            .collect(),
    );
    repository.upsert_subject(
        POD,
        Subject {
            identity: 256,
            ..Subject::default()
        },
    );
    repository.commit();
    let old = repository.state(POD).unwrap().clone();
    let (id, wide) = policy(&cnp(
        "{endpointSelector: {}, ingress: [{fromEntities: [world], toPorts: [{ports: [{port: '1', endPort: 65534, protocol: TCP}]}]}]}",
    ));
    scene::feed_policy(&mut repository, &id, &wide);
    let changes = repository.commit();
    assert!(changes.subjects.is_empty());
    assert_eq!(changes.refused[&POD].policy, Some(id.clone()));
    assert!(
        changes.refused[&POD]
            .to_string()
            .contains("CiliumNetworkPolicy red/p")
    );
    assert_eq!(repository.state(POD), Some(&old));

    let newcomer = SubjectId(2);
    repository.upsert_subject(
        newcomer,
        Subject {
            identity: 256,
            named_ports: NamedPorts::from([(("x".into(), 6), [1].into())]),
        },
    );
    assert!(repository.commit().refused.contains_key(&newcomer));
    assert_eq!(repository.state(newcomer).unwrap().len(), 3);

    repository.remove_policy(&id);
    let changes = repository.commit();
    assert!(changes.refused.is_empty());
    assert!(changes.subjects.contains_key(&POD), "it hears that it fits");
    assert_eq!(repository.state(POD), Some(&old));
    assert_eq!(repository.state(newcomer), Some(&old));
}

#[test]
fn a_verdict_names_the_policies_that_led_to_it() {
    let yaml = cnp(
        "{endpointSelector: {}, ingress: [{fromEntities: [world]}], labels: [{key: team, value: blue, source: k8s}], log: {value: why}}",
    );
    let other = yaml
        .replace("name: p,", "name: q,")
        .replace("world", "cluster");
    let (repository, _) = with(&[&yaml, &other]);
    let state = repository.state(POD).unwrap();
    let behind = |identity| {
        let (_, entry) = state
            .iter()
            .find(|(k, _)| k.identity == identity && k.direction == Direction::Ingress)
            .unwrap();
        repository.policies_behind(entry.cookie)
    };
    assert_eq!(
        behind(2)
            .iter()
            .map(|p| p.id.name.as_str())
            .collect::<Vec<_>>(),
        ["p"]
    );
    assert_eq!(
        (behind(2)[0].labels.as_slice(), behind(2)[0].log.as_str()),
        (["k8s:team=blue".to_owned()].as_slice(), "why")
    );
    assert_eq!(behind(0).len(), 2);
}

#[test]
fn a_service_without_selector_reaches_outside_and_one_with_does_not() {
    for (has_selector, verdict) in [(false, Verdict::Allow), (true, Verdict::DefaultDeny)] {
        let (mut repository, _) = with(&[&cnp(
            "{endpointSelector: {}, egress: [{toServices: [{k8sService: {serviceName: db}}]}]}",
        )]);
        let name = ServiceName {
            namespace: "red".into(),
            name: "db".into(),
        };
        let backends = [OUTSIDE.parse().unwrap()].into();
        repository.upsert_service(
            name,
            Service {
                backends,
                has_selector,
                ..Service::default()
            },
        );
        repository.commit();
        assert_eq!(to_world(&repository), verdict);
    }
}

#[test]
fn numbers_of_prefixes_come_back_after_a_restart() {
    let yaml = cnp("{endpointSelector: {}, egress: [{toCIDR: [10.0.0.0/8, 203.0.113.0/24]}]}");
    let (repository, _) = with(&[&yaml]);
    let numbers = repository.prefixes().clone();
    let mut again = Repository::new(Options {
        numbers: numbers.clone(),
        ..Options::default()
    });
    let (id, one) = policy(&cnp(
        "{endpointSelector: {}, egress: [{toCIDR: [203.0.113.0/24, 192.0.2.0/24]}]}",
    ));
    scene::feed_policy(&mut again, &id, &one);
    let added = again.commit().prefixes_added;
    let kept = "203.0.113.0/24".parse().unwrap();
    assert_eq!(added[&kept], numbers[&kept]);
    assert!(
        !numbers
            .values()
            .any(|n| *n == added[&"192.0.2.0/24".parse().unwrap()])
    );
}

#[test]
fn validation_says_the_same_sentences_and_nothing_about_what_is_followed() {
    let decode = |yaml: &str| serde_norway::from_str(yaml).unwrap();
    assert_eq!(
        validate(&decode(&cnp(
            "{endpointSelector: {}, ingress: [{fromEntities: [cluster]}]}"
        ))),
        []
    );
    let refusals = validate(&decode(&cnp(
        "{endpointSelector: {}, ingress: [{fromEntities: [cluster], authentication: {mode: required}}]}",
    )));
    assert_eq!(
        refusals[0].to_string(),
        "spec.ingress[0].authentication: is not supported; the rule is not followed as long as it is there"
    );
}

/// The pod under test, with a map of eight entries.
fn narrow() -> Repository {
    let mut repository = Repository::new(Options {
        max_entries: 8,
        ..Options::default()
    });
    let red = [("k8s:io.kubernetes.pod.namespace", "red")];
    repository.upsert_identity(256, red.into_iter().collect());
    let subject = Subject {
        identity: 256,
        ..Subject::default()
    };
    repository.upsert_subject(POD, subject);
    repository
}

/// What becomes of a packet to [`OUTSIDE`] once the policy is told.
fn told(repository: &mut Repository, yaml: &str) -> Verdict {
    let (id, object) = policy(yaml);
    scene::feed_policy(repository, &id, &object);
    repository.commit();
    to_world(repository)
}

/// Does not fit into eight entries.
const WIDE: &str =
    "{endpointSelector: {}, ingress: [{toPorts: [{ports: [{port: '1', endPort: 65534}]}]}]}";

#[test]
fn an_old_map_that_stays_is_closed_when_a_new_prefix_would_slip_past_its_denies() {
    let mut repository = narrow();
    let mut tell = |yaml: &str| told(&mut repository, yaml);
    let deny = "{endpointSelector: {}, egress: [{toEntities: [all]}], egressDeny: [{toCIDR: [203.0.113.0/24]}]}";
    assert_eq!(tell(&cnp(deny)), Verdict::Deny);
    assert_eq!(
        tell(&cnp(WIDE).replace("name: p,", "name: q,")),
        Verdict::Deny
    );
    let other = "{endpointSelector: {}, ingress: [{fromCIDR: [203.0.113.5/32]}]}";
    let foreign = cnp(other).replace("namespace: red", "namespace: blue");
    assert_eq!(tell(&foreign), Verdict::DefaultDeny);
}

const DENIED: &str = "{endpointSelector: {}, egressDeny: [{toCIDR: [203.0.113.0/24]}], enableDefaultDeny: {egress: false}}";

#[test]
fn an_old_map_that_stays_is_closed_when_the_prefix_of_its_deny_leaves_with_the_old_policy() {
    let mut repository = narrow();
    assert_eq!(told(&mut repository, &cnp(DENIED)), Verdict::Deny);
    assert_eq!(told(&mut repository, &cnp(WIDE)), Verdict::DefaultDeny);
    assert!(repository.prefixes().is_empty());
}

#[test]
fn an_old_map_that_stays_is_closed_when_the_last_other_policy_with_the_prefix_of_its_deny_goes() {
    let mut repository = narrow();
    told(&mut repository, &cnp(DENIED));
    let foreign = cnp(DENIED).replace("namespace: red", "namespace: blue");
    told(&mut repository, &foreign);
    assert_eq!(told(&mut repository, &cnp(WIDE)), Verdict::Deny);
    repository.remove_policy(&policy(&foreign).0);
    let refused = repository.commit().refused;
    assert!(refused.contains_key(&POD));
    assert_eq!(to_world(&repository), Verdict::DefaultDeny);
}

#[test]
fn an_old_map_that_stays_is_closed_when_an_exception_it_allows_nothing_for_joins_what_it_allows() {
    let except =
        |cidrs: &str| format!("{{endpointSelector: {{}}, egress: [{{toCIDRSet: [{cidrs}]}}]}}");
    let some = except("{cidr: 203.0.113.0/24, except: [203.0.113.5/32]}");
    let whole = except("{cidr: 203.0.113.0/24}");
    let mut repository = narrow();
    told(
        &mut repository,
        &cnp(&whole).replace("namespace: red", "namespace: blue"),
    );
    assert_eq!(told(&mut repository, &cnp(&some)), Verdict::DefaultDeny);
    assert_eq!(told(&mut repository, &cnp(WIDE)), Verdict::DefaultDeny);
}

#[test]
fn an_old_map_stays_when_a_prefix_leaves_whose_addresses_it_judges_alike() {
    let mut repository = narrow();
    let allow = "{endpointSelector: {}, egress: [{toCIDR: [203.0.113.0/24]}]}";
    let foreign = cnp(&allow.replace("0/24", "5/32")).replace("namespace: red", "namespace: blue");
    told(&mut repository, &foreign);
    assert_eq!(told(&mut repository, &cnp(allow)), Verdict::Allow);
    told(&mut repository, &cnp(WIDE).replace("name: p,", "name: q,"));
    repository.remove_policy(&policy(&foreign).0);
    assert!(repository.commit().refused.contains_key(&POD));
    assert_eq!(to_world(&repository), Verdict::Allow);
}

fn network_policy(spec: &str) -> String {
    format!(
        "kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata: {{name: p, namespace: red}}\nspec: {spec}\n"
    )
}

#[test]
fn a_network_policy_may_demand_what_the_cni_says_of_a_pod_and_never_leaves_its_namespace_by_it() {
    let ours = "io.kubernetes.pod.namespace: red, io.cilium.k8s.policy.cluster: default";
    let policy = |subject: &str, peer: &str| {
        network_policy(&format!(
            "{{podSelector: {{matchLabels: {{{subject}}}}}, ingress: [{{from: [{{podSelector: {{matchLabels: {{{peer}}}}}}}]}}]}}"
        ))
    };
    let (repository, refusals) = with(&[&policy(ours, ours)]);
    assert_eq!(refusals, Vec::<String>::new());
    assert_eq!(from(&repository, 257), Verdict::Allow);
    assert_eq!(from(&repository, 258), Verdict::DefaultDeny);

    let (repository, _) = with(&[&policy(ours, "io.kubernetes.pod.namespace: green")]);
    for peer in [257, 258] {
        assert_eq!(from(&repository, peer), Verdict::DefaultDeny, "{peer}");
    }
    let (repository, _) = with(&[&policy("io.cilium.k8s.policy.cluster: other", "")]);
    assert_eq!(from(&repository, 258), Verdict::Allow, "a pod of no policy");
}

#[test]
fn a_network_policy_that_wants_a_label_of_the_cni_absent_isolates_and_allows_nothing() {
    for expression in [
        "{key: io.kubernetes.pod.namespace, operator: DoesNotExist}",
        "{key: io.cilium.k8s.policy.cluster, operator: NotIn, values: [other]}",
        "{key: io.cilium.k8s.policy.else, operator: Exists}",
    ] {
        let selector = format!("{{matchExpressions: [{expression}]}}");
        for spec in [
            format!("{{podSelector: {selector}, ingress: [{{}}]}}"),
            format!("{{podSelector: {{}}, ingress: [{{from: [{{podSelector: {selector}}}]}}]}}"),
        ] {
            let (repository, refusals) = with(&[&network_policy(&spec)]);
            assert_eq!(from(&repository, 257), Verdict::DefaultDeny, "{spec}");
            assert_eq!(refusals.len(), 1, "{spec}: {refusals:?}");
        }
    }
}

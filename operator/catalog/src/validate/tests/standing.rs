use super::*;

/// The cluster after the specification was accepted: the default StorageClass has lost its mark, the Secret is gone, and more
/// nodes came than the pool has blocks for, with addresses of the pool.
fn changed() -> ClusterFacts {
    let mut facts = facts();
    let node = |last| crate::NodeFacts {
        name: format!("late-{last}"),
        internal_ips: vec![Ipv4Addr::new(10, 244, 0, last)],
        agent: true,
    };
    facts.nodes.extend((1..=20).map(node));
    facts.uid = "a-uid".to_owned();
    facts
}

#[test]
fn what_was_accepted_stands_whatever_became_of_the_cluster_and_of_the_release() {
    let mut spec = GlooNetworkSpec::named("west");
    spec.prometheus.managed.storage.state = Switch::Enabled;
    external(tls(Switch::Disabled), Some("redis-auth-secrets"))(&mut spec);
    pool(&["10.244.0.0/20"])(&mut spec);
    let keys = ["password".to_owned()].into();
    let mut before = facts();
    before.has_default_storage_class = true;
    before
        .secrets
        .insert("redis-auth-secrets".to_owned(), SecretFacts { keys });
    let accepted = validate(&spec, &before).unwrap();

    let mut computed = accepted.spec.clone();
    computed.version = Some("0.0.9".to_owned());
    let refusals = validate(&computed, &changed()).unwrap_err();
    assert_eq!(refusals.len(), 5, "{refusals:#?}");
    let standing = standing(&computed, &spec, &changed()).unwrap();
    assert_eq!(
        (standing.uid.as_str(), standing.node_addresses.len()),
        ("a-uid", 22),
        "of the cluster as it is"
    );
    let as_accepted = Input {
        uid: accepted.uid.clone(),
        node_addresses: accepted.node_addresses.clone(),
        ..standing
    };
    assert_eq!(as_accepted, accepted);
}

#[test]
fn what_a_rule_of_this_build_forbids_does_not_stand() {
    let mut spec = GlooNetworkSpec::named("west");
    spec.cilium.hubble.metrics = vec!["no-such-metric".to_owned()];
    assert_eq!(standing(&spec, &spec, &facts()), None);
}

#[test]
fn what_was_accepted_gets_no_release_that_the_specification_rules_out() {
    let accepted = validate(&GlooNetworkSpec::named("west"), &facts()).unwrap();
    let wants = |version: &str| GlooNetworkSpec {
        version: Some(version.to_owned()),
        ..accepted.spec.clone()
    };
    let stands = |accepted: &str, wanted: &str| {
        let input = standing(&wants(accepted), &wants(wanted), &facts());
        input.map(|input| input.version().to_owned())
    };
    let this = Some("0.1.0".to_owned());
    assert_eq!(stands("0.0.9", "0.0.9"), None, "the operator is newer");
    assert_eq!(stands("0.1.0", "9.0.0"), this, "a slip of the pen");
    assert_eq!(stands("0.0.9", "0.1.0"), this, "refused for something else");
}

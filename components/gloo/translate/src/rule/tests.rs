use super::*;

fn slot(cluster: &str, namespace: &str) -> Slot {
    Slot {
        cluster: cluster.parse().unwrap(),
        namespace: namespace.to_owned(),
    }
}

fn place(cluster: &str, namespace: &str, name: &str) -> Place {
    Place {
        slot: slot(cluster, namespace),
        name: name.to_owned(),
    }
}

fn of(cluster: &str, account: &str) -> Peer {
    Peer {
        slot: slot(cluster, "web"),
        account: account.to_owned(),
    }
}

fn pair(label: &str, value: &str) -> (String, String) {
    (label.to_owned(), value.to_owned())
}

/// What every policy says of where it comes from, with what differs from one to the next.
fn labels(kind: &str, group: &str, parent: &Place) -> Value {
    json!({
        "agent.gloo.solo.io": "gloo-mesh",
        "cluster.multicluster.solo.io": "east",
        "context.mesh.gloo.solo.io/cluster": "east",
        "context.mesh.gloo.solo.io/namespace": "backend",
        "context.mesh.gloo.solo.io/workspace": "shop",
        "gloo.solo.io/parent_cluster": parent.slot.cluster.as_str(),
        "gloo.solo.io/parent_group": group,
        "gloo.solo.io/parent_kind": kind,
        "gloo.solo.io/parent_name": parent.name,
        "gloo.solo.io/parent_namespace": parent.slot.namespace,
        "gloo.solo.io/parent_version": "v2",
        "owner.gloo.solo.io/name": "gloo-mesh",
        "reconciler.mesh.gloo.solo.io/name": "translator",
        "relay.solo.io/cluster": "east",
    })
}

fn key(name: &str) -> PolicyKey {
    PolicyKey {
        slot: slot("east", "backend"),
        name: name.to_owned(),
    }
}

#[test]
fn an_isolated_service_lets_in_accounts_each_of_its_own_cluster() {
    let settings = place("mgmt", "gloo-mesh", "shop-settings");
    let labels = labels("WorkspaceSettings", "admin.gloo.solo.io", &settings);
    let rule = Rule {
        workspace: "shop".to_owned(),
        origin: Origin::Settings(settings),
        selector: [pair("app", "reviews")].into(),
        except: [pair("version", "v1"), pair("version", "v2")].into(),
        ports: [PodPort {
            port: "9080".to_owned(),
            protocol: "TCP",
        }]
        .into(),
        peers: [of("east", "front"), of("west", "front")].into(),
        blocks: BTreeSet::new(),
    };
    let front = |cluster: &str| {
        json!({"matchLabels": {
            "k8s:io.cilium.k8s.policy.cluster": cluster,
            "k8s:io.cilium.k8s.policy.serviceaccount": "front",
            "k8s:io.kubernetes.pod.namespace": "web",
        }})
    };
    assert_eq!(
        rule.manifest(&key("settings-reviews-9080-shop")),
        json!({
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": {"name": "settings-reviews-9080-shop", "namespace": "backend", "labels": labels},
            "spec": {
                "endpointSelector": {
                    "matchLabels": {"any:app": "reviews"},
                    "matchExpressions": [{"key": "any:version", "operator": "NotIn", "values": ["v1", "v2"]}],
                },
                "ingress": [{
                    "fromEndpoints": [front("east"), front("west")],
                    "toPorts": [{"ports": [{"port": "9080", "protocol": "TCP"}]}],
                }],
            },
        })
    );
}

#[test]
fn access_is_for_accounts_or_blocks_and_of_neither_for_nobody() {
    let policy = place("east", "backend", "readers");
    let labels = labels("AccessPolicy", "security.policy.gloo.solo.io", &policy);
    let mut rule = Rule {
        workspace: "shop".to_owned(),
        origin: Origin::Access(policy),
        selector: Labels::new(),
        except: Excluded::new(),
        ports: BTreeSet::new(),
        peers: BTreeSet::new(),
        blocks: BTreeSet::new(),
    };
    let nobody = rule.manifest(&key("access"));
    assert_eq!(nobody["metadata"]["labels"], labels);
    assert_eq!(
        nobody["spec"],
        json!({"endpointSelector": {"matchLabels": {}}, "ingress": [{"fromEndpoints": []}]})
    );
    rule.blocks = ["192.0.2.0/24".parse().unwrap()].into();
    assert_eq!(
        rule.manifest(&key("access"))["spec"]["ingress"],
        json!([{"fromCIDR": ["192.0.2.0/24"]}])
    );
    rule.peers = [of("west", "front")].into();
    let ingress = &rule.manifest(&key("access"))["spec"]["ingress"];
    assert_eq!(ingress.as_array().map(Vec::len), Some(2), "{ingress}");
}

#[test]
fn a_name_too_long_is_cut_and_stays_its_own() {
    let long = |last: &str| {
        isolation_name(
            &"s".repeat(63),
            80,
            &format!("{}{last}", "w".repeat(200)),
            0,
        )
    };
    assert_eq!(long("a").len(), LONGEST);
    assert_ne!(long("a"), long("b"));
    assert_eq!(isolation_name("web", 80, "shop", 0), "settings-web-80-shop");
}

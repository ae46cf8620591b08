//! Test 13 of the security reference: the ledger of rights, both ways. No request of ours is refused, and no right is held
//! that nobody uses.

use std::collections::BTreeSet;

use anyhow::Result;
use gloonet_e2e::{
    Scene,
    ledger::{
        ACCOUNTS, AGENT, CILIUM_OPERATOR, GLOO_AGENT, INSIGHTS, MANAGEMENT_SERVER, OPERATOR, Right,
        granted, refused, uses,
    },
};

/// Rights that a healthy cluster does not use before this test runs: (account, verb, resource or any, why they are held).
const HELD_FOR_LATER: [(&str, &str, Option<&str>, &str); 22] = [
    (
        OPERATOR,
        "get",
        Some("ciliumnodes"),
        "the API server asks for it when the policy whose parameters they are is written",
    ),
    (
        OPERATOR,
        "delete",
        None,
        "a component that is switched off, and the uninstall",
    ),
    (
        OPERATOR,
        "create",
        Some("persistentvolumeclaims"),
        "only where persistence is asked for",
    ),
    (
        OPERATOR,
        "list",
        Some("persistentvolumeclaims"),
        "only where persistence is asked for",
    ),
    (
        OPERATOR,
        "patch",
        Some("persistentvolumeclaims"),
        "only where persistence is asked for",
    ),
    (
        OPERATOR,
        "watch",
        Some("persistentvolumeclaims"),
        "only where persistence is asked for",
    ),
    (
        OPERATOR,
        "create",
        Some("namespaces"),
        "install.yaml made them; somebody may delete one",
    ),
    (
        OPERATOR,
        "patch",
        Some("secrets"),
        "certificates are renewed after 60 days",
    ),
    (
        OPERATOR,
        "create",
        Some("events"),
        "something worth an event has to happen",
    ),
    (OPERATOR, "patch", Some("events"), "an event that repeats"),
    (
        AGENT,
        "create",
        Some("events"),
        "another CNI's configuration on the node, a full pool",
    ),
    (
        CILIUM_OPERATOR,
        "delete",
        None,
        "nodes and pods that are gone, identities nobody uses",
    ),
    (
        CILIUM_OPERATOR,
        "patch",
        Some("ciliumnodes/status"),
        "a node gets no addresses",
    ),
    (
        CILIUM_OPERATOR,
        "patch",
        Some("ciliumclusterwidenetworkpolicies/status"),
        "somebody has to write a clusterwide policy",
    ),
    (
        CILIUM_OPERATOR,
        "patch",
        Some("ciliumloadbalancerippools/status"),
        "somebody has to write a pool",
    ),
    (
        CILIUM_OPERATOR,
        "patch",
        Some("services/status"),
        "a pool has to select a Service of type LoadBalancer",
    ),
    (
        MANAGEMENT_SERVER,
        "create",
        Some("tokenreviews"),
        "somebody asks for snapshots",
    ),
    (
        MANAGEMENT_SERVER,
        "create",
        Some("subjectaccessreviews"),
        "somebody asks for snapshots",
    ),
    (
        INSIGHTS,
        "patch",
        Some("insightsconfigs/status"),
        "somebody has to write an InsightsConfig",
    ),
    (
        GLOO_AGENT,
        "create",
        Some("ciliumnetworkpolicies"),
        "a workspace has to ask for one",
    ),
    (
        GLOO_AGENT,
        "delete",
        Some("ciliumnetworkpolicies"),
        "a workspace has to want one no longer",
    ),
    (
        GLOO_AGENT,
        "patch",
        None,
        "a policy, or a resource whose status is to be written",
    ),
];

/// Other tests delete roles and watch them come back; what was refused meanwhile is granted now and does not count.
#[tokio::test]
async fn no_request_of_ours_is_refused_for_want_of_rights() -> Result<()> {
    let scene = Scene::open().await?;
    let refused = refused(&scene).await?;
    assert!(refused.is_empty(), "{refused:#?}");
    Ok(())
}

#[tokio::test]
async fn no_right_is_held_that_nobody_uses() -> Result<()> {
    let scene = Scene::open().await?;
    let granted = granted(&scene, &ACCOUNTS).await?;
    let used: BTreeSet<Right> = uses(&scene)
        .await?
        .into_iter()
        .map(|one| one.right)
        .collect();
    assert!(!used.is_empty(), "the audit log knows nobody of ours");
    let idle: Vec<String> = granted
        .iter()
        .filter(|right| {
            !used.contains(right) && !passed_on(right, &granted) && !held_for_later(right)
        })
        .map(ToString::to_string)
        .collect();
    assert!(idle.is_empty(), "{idle:#?}");
    Ok(())
}

/// The operator must itself hold what it grants to the parts it installs, or the API server refuses the role.
fn passed_on(right: &Right, granted: &BTreeSet<Right>) -> bool {
    let same = |account: &str| Right {
        account: account.to_owned(),
        ..right.clone()
    };
    right.account == OPERATOR
        && ACCOUNTS[1..]
            .iter()
            .any(|account| granted.contains(&same(account)))
}

fn held_for_later(right: &Right) -> bool {
    HELD_FOR_LATER.iter().any(|(account, verb, resource, _)| {
        right.account == *account
            && right.verb == *verb
            && resource.is_none_or(|resource| right.resource == resource)
    })
}

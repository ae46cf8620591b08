//! The rights ledger: what ServiceAccounts are granted, and what the API server's audit log says they asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
};

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kube::{Api, ResourceExt, api::ListParams};
use serde::Deserialize;

use crate::Scene;

pub const OPERATOR: &str = "gloonet-system/gloonet-operator";
pub const AGENT: &str = "kube-system/cilium";
pub const CILIUM_OPERATOR: &str = "kube-system/cilium-operator";
pub const MANAGEMENT_SERVER: &str = "gloo-mesh/gloo-mesh-mgmt-server";
pub const GLOO_AGENT: &str = "gloo-mesh/gloo-mesh-agent";
pub const ANALYZER: &str = "gloo-mesh/gloo-analyzer";
pub const INSIGHTS: &str = "gloo-mesh/gloo-insights";
/// Whose requests are judged.
pub const ACCOUNTS: [&str; 7] = [
    OPERATOR,
    AGENT,
    CILIUM_OPERATOR,
    MANAGEMENT_SERVER,
    GLOO_AGENT,
    ANALYZER,
    INSIGHTS,
];

/// One verb on one resource. Namespaces and names are left out: they narrow a right, they do not make another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// `namespace/name` of the ServiceAccount.
    pub account: String,
    /// Empty for the core group.
    pub group: String,
    /// With the subresource, for example `nodes/status`.
    pub resource: String,
    pub verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            account,
            group,
            resource,
            verb,
        } = self;
        let dot = if group.is_empty() { "" } else { "." };
        write!(f, "{account}: {verb} {resource}{dot}{group}")
    }
}

/// A request of a ServiceAccount's pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub right: Right,
    /// False when RBAC refused it.
    pub allowed: bool,
    /// `namespace/name` of what was asked for, as far as the request said.
    pub object: String,
}

/// The rights that roles give to `accounts` (`namespace/name` each).
pub async fn granted(scene: &Scene, accounts: &[&str]) -> Result<BTreeSet<Right>> {
    let all = ListParams::default();
    let client = || scene.client.clone();
    let mut cluster_roles = BTreeMap::new();
    for role in Api::<ClusterRole>::all(client()).list(&all).await? {
        cluster_roles.insert(role.name_any(), role.rules.unwrap_or_default());
    }
    let mut namespaced = BTreeMap::new();
    for role in Api::<Role>::all(client()).list(&all).await? {
        namespaced.insert(
            (role.namespace(), role.name_any()),
            role.rules.unwrap_or_default(),
        );
    }
    let mut rights = BTreeSet::new();
    for binding in Api::<ClusterRoleBinding>::all(client()).list(&all).await? {
        let rules = cluster_roles.get(&binding.role_ref.name);
        add(&mut rights, accounts, binding.subjects.as_deref(), rules);
    }
    for binding in Api::<RoleBinding>::all(client()).list(&all).await? {
        let RoleRef { kind, name, .. } = &binding.role_ref;
        let rules = if kind == "ClusterRole" {
            cluster_roles.get(name)
        } else {
            namespaced.get(&(binding.namespace(), name.clone()))
        };
        add(&mut rights, accounts, binding.subjects.as_deref(), rules);
    }
    Ok(rights)
}

fn add(
    rights: &mut BTreeSet<Right>,
    accounts: &[&str],
    subjects: Option<&[Subject]>,
    rules: Option<&Vec<PolicyRule>>,
) {
    for subject in subjects
        .unwrap_or_default()
        .iter()
        .filter(|subject| subject.kind == "ServiceAccount")
    {
        let account = format!(
            "{}/{}",
            subject.namespace.as_deref().unwrap_or_default(),
            subject.name
        );
        if accounts.contains(&account.as_str()) {
            rights.extend(
                rules
                    .into_iter()
                    .flatten()
                    .flat_map(|rule| expand(&account, rule)),
            );
        }
    }
}

fn expand(account: &str, rule: &PolicyRule) -> Vec<Right> {
    let mut rights = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            for verb in &rule.verbs {
                rights.push(Right {
                    account: account.to_owned(),
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                });
            }
        }
    }
    rights
}

/// What pods of `accounts` asked the API server for. `node_addresses` maps a node to its address: a request counts only when
/// it came from the node that its token names, so that a test which borrows a token leaves no trace here.
pub fn used(
    log: &str,
    accounts: &[&str],
    node_addresses: &BTreeMap<String, String>,
) -> Result<Vec<Use>> {
    let mut uses = Vec::new();
    for line in log.lines() {
        let event: Event =
            serde_json::from_str(line).with_context(|| format!("not an audit event: {line}"))?;
        uses.extend(event.uses(accounts, node_addresses));
    }
    Ok(uses)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    #[serde(rename = "sourceIPs", default)]
    source_ips: Vec<String>,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    api_group: String,
    namespace: String,
    name: String,
}

impl Event {
    /// One use, or two: a patch that made its object (server-side apply) needed `create` as well.
    fn uses(self, accounts: &[&str], node_addresses: &BTreeMap<String, String>) -> Vec<Use> {
        let made = self.verb == "patch"
            && self
                .response_status
                .as_ref()
                .is_some_and(|status| status.code == 201);
        let Some(patch) = self.into_use(accounts, node_addresses) else {
            return Vec::new();
        };
        let mut create = patch.clone();
        "create".clone_into(&mut create.right.verb);
        [patch, create]
            .into_iter()
            .take(1 + usize::from(made))
            .collect()
    }

    fn into_use(self, accounts: &[&str], node_addresses: &BTreeMap<String, String>) -> Option<Use> {
        let account = self
            .user
            .username
            .strip_prefix("system:serviceaccount:")?
            .replace(':', "/");
        let object = self.object_ref?;
        let node = self
            .user
            .extra
            .get("authentication.kubernetes.io/node-name")?
            .first()?;
        if !accounts.contains(&account.as_str())
            || node_addresses.get(node) != self.source_ips.first()
        {
            return None;
        }
        let slash = if object.subresource.is_empty() {
            ""
        } else {
            "/"
        };
        Some(Use {
            right: Right {
                account,
                group: object.api_group,
                resource: format!("{}{slash}{}", object.resource, object.subresource),
                verb: self.verb,
            },
            allowed: self
                .annotations
                .get("authorization.k8s.io/decision")
                .is_none_or(|said| said == "allow"),
            object: format!("{}/{}", object.namespace, object.name),
        })
    }
}

/// What they asked for since the cluster is there.
pub async fn uses(scene: &Scene) -> Result<Vec<Use>> {
    let mut addresses = BTreeMap::new();
    for node in scene.nodes().await? {
        let ip = scene.node_ip(&node).await?;
        addresses.insert(node, ip);
    }
    let path = scene.lab.audit_log();
    let log = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    // The last line may still be in the making.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    used(whole, &ACCOUNTS, &addresses)
}

/// Their requests that were refused for want of rights. What was refused while a role was away that is there again does not count.
pub async fn refused(scene: &Scene) -> Result<BTreeSet<String>> {
    let granted = granted(scene, &ACCOUNTS).await?;
    let refused = uses(scene).await?.into_iter();
    let refused = refused.filter(|one| !one.allowed && !granted.contains(&one.right));
    Ok(refused
        .map(|one| format!("{} {}", one.right, one.object))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "kube-system/cilium";
    const EVENT: &str = r#"{"verb":"patch","user":{"username":"system:serviceaccount:kube-system:cilium","extra":{"authentication.kubernetes.io/node-name":["worker-1"]}},"sourceIPs":["172.30.0.11"],"objectRef":{"resource":"ciliumnodes","subresource":"status","apiGroup":"cilium.io","name":"worker-1"},"annotations":{"authorization.k8s.io/decision":"forbid"}}"#;

    fn of(log: &str) -> Vec<Use> {
        let nodes = BTreeMap::from([("worker-1".to_owned(), "172.30.0.11".to_owned())]);
        used(log, &[ACCOUNT], &nodes).unwrap()
    }

    #[test]
    fn a_request_is_read_with_its_subresource_and_what_rbac_said() {
        let uses = of(EVENT);
        assert_eq!(uses.len(), 1);
        assert_eq!(
            uses[0].right.to_string(),
            "kube-system/cilium: patch ciliumnodes/status.cilium.io"
        );
        assert!(!uses[0].allowed);
    }

    #[test]
    fn a_borrowed_token_and_other_accounts_do_not_count() {
        assert!(of(&EVENT.replace("172.30.0.11", "172.30.0.1")).is_empty());
        assert!(of(&EVENT.replace("kube-system:cilium", "default:default")).is_empty());
    }

    #[test]
    fn an_apply_that_makes_its_object_uses_create_too() {
        let made = EVENT.replace(
            "\"sourceIPs\"",
            "\"responseStatus\":{\"code\":201},\"sourceIPs\"",
        );
        let verbs: Vec<String> = of(&made).into_iter().map(|one| one.right.verb).collect();
        assert_eq!(verbs, ["patch", "create"]);
    }

    #[test]
    fn a_rule_is_every_verb_on_every_resource() {
        let rule = PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["pods".to_owned(), "nodes".to_owned()]),
            verbs: vec!["get".to_owned(), "list".to_owned()],
            ..PolicyRule::default()
        };
        assert_eq!(expand(ACCOUNT, &rule).len(), 4);
    }
}

//! ValidatingAdmissionPolicies that hold each agent to its own node.
//!
//! The agent's token says on which node its pod runs (`authentication.kubernetes.io/node-name`, KEP-4193, stable since
//! Kubernetes 1.32). RBAC cannot compare that with the object; these expressions do. They speak about the agent's
//! ServiceAccount only: administrators and the operator are not held back.

use k8s_openapi::{
    api::admissionregistration::v1::{
        MatchCondition, MatchResources, NamedRuleWithOperations, ParamKind, ParamRef,
        ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
        ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec, Validation, Variable,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::api::ObjectMeta;

use crate::names::{AGENT, GROUP, NAMESPACE, VERSION};

/// Name of the policy over CiliumNodes and of its binding.
pub const NODE_POLICY: &str = "cilium-agent-own-node";
/// Name of the policy over CiliumEndpoints and of its binding.
pub const ENDPOINT_POLICY: &str = "cilium-agent-own-endpoints";

/// A policy and the binding that puts it in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// The rules.
    pub policy: ValidatingAdmissionPolicy,
    /// Where they hold: everywhere, with `Deny`.
    pub binding: ValidatingAdmissionPolicyBinding,
}

/// The policies for an agent that runs as `kube-system/cilium`.
pub fn policies() -> Vec<Admission> {
    vec![node_policy(), endpoint_policy()]
}

const NODE_CLAIM: &str = "authentication.kubernetes.io/node-name";

/// The agent writes the CiliumNode that bears its node's name, never its podCIDRs or labels, an InternalIP once, and a
/// router address inside its podCIDRs.
///
/// Everybody takes packets from an InternalIP for that node's, and [`endpoint_policy`] tells endpoints apart by it.
fn node_policy() -> Admission {
    let rules = vec![
        named_node(),
        rule(
            "object.metadata.name == variables.node",
            "'CiliumNode ' + object.metadata.name + ' belongs to another node than the agent on ' + variables.node + '; an agent writes only the CiliumNode of its own node'",
        ),
        rule(
            "variables.podCIDRs == variables.oldPodCIDRs",
            "'podCIDRs of CiliumNode ' + object.metadata.name + ' are given by cilium-operator only; leave spec.ipam.podCIDRs as it is'",
        ),
        rule(
            "variables.oldInternalIPs.size() == 0 || variables.internalIPs == variables.oldInternalIPs",
            "'CiliumNode ' + object.metadata.name + ' has InternalIP ' + variables.oldInternalIPs.join(', ') + ', which an agent does not change; delete the CiliumNode if its node has another address now'",
        ),
        rule(
            "variables.internalIPs.all(i, isIP(i)) && [4, 6].all(f, variables.internalIPs.filter(i, ip(i).family() == f).size() <= 1)",
            "'CiliumNode ' + object.metadata.name + ' has InternalIPs ' + variables.internalIPs.join(', ') + '; an agent gives its node one IPv4 and one IPv6 address at most'",
        ),
        rule(
            "variables.labels == variables.oldLabels",
            "'labels of CiliumNode ' + object.metadata.name + ' are given by cilium-operator only, as its Node has them; leave metadata.labels as they are'",
        ),
        rule(
            "!has(object.spec.addresses) || object.spec.addresses.all(a, a.type != 'CiliumInternalIP' || (isIP(a.ip) && variables.podCIDRs.exists(c, isCIDR(c) && cidr(c).containsIP(a.ip))))",
            "'a CiliumInternalIP of CiliumNode ' + object.metadata.name + ' lies outside its podCIDRs; take the router address from them'",
        ),
    ];
    admission(NODE_POLICY, "ciliumnodes", node_variables(), rules, None)
}

/// What the rules compare, each as it is to be and as it was.
fn node_variables() -> Vec<Variable> {
    vec![
        node_variable(),
        variable(
            "podCIDRs",
            "has(object.spec.ipam) && has(object.spec.ipam.podCIDRs) ? object.spec.ipam.podCIDRs : []",
        ),
        variable(
            "oldPodCIDRs",
            "oldObject != null && has(oldObject.spec.ipam) && has(oldObject.spec.ipam.podCIDRs) ? oldObject.spec.ipam.podCIDRs : []",
        ),
        variable(
            "internalIPs",
            "has(object.spec.addresses) ? object.spec.addresses.filter(a, a.type == 'InternalIP').map(a, a.ip) : []",
        ),
        variable(
            "oldInternalIPs",
            "oldObject != null && has(oldObject.spec.addresses) ? oldObject.spec.addresses.filter(a, a.type == 'InternalIP').map(a, a.ip) : []",
        ),
        variable(
            "labels",
            "has(object.metadata.labels) ? object.metadata.labels : {}",
        ),
        variable(
            "oldLabels",
            "oldObject != null && has(oldObject.metadata.labels) ? oldObject.metadata.labels : {}",
        ),
    ]
}

/// The agent writes endpoints of its own node with addresses out of its podCIDRs and no identity of the reserved range.
///
/// The policy is evaluated once per CiliumNode, which is its parameter; every node but the agent's own passes at once.
fn endpoint_policy() -> Admission {
    let own = |expression: &str| format!("variables.foreign || ({expression})");
    let rules = vec![
        named_node(),
        rule(
            &own(
                "variables.networking == null || (has(variables.networking.node) && variables.networking.node in variables.nodeIPs)",
            ),
            "'CiliumEndpoint ' + object.metadata.namespace + '/' + object.metadata.name + ' names another node than ' + variables.node + '; an agent reports only endpoints of its own node'",
        ),
        rule(
            &own(
                "variables.oldNetworking == null || !has(variables.oldNetworking.node) || variables.oldNetworking.node in variables.nodeIPs",
            ),
            "'CiliumEndpoint ' + object.metadata.namespace + '/' + object.metadata.name + ' belongs to another node than ' + variables.node + '; it goes with its pod, wait until it is gone'",
        ),
        rule(
            &own(
                "variables.networking == null || variables.networking.addressing.all(p, (!has(p.ipv4) || variables.cidrs.exists(c, cidr(c).containsIP(p.ipv4))) && (!has(p.ipv6) || variables.cidrs.exists(c, cidr(c).containsIP(p.ipv6))))",
            ),
            "'an address of CiliumEndpoint ' + object.metadata.namespace + '/' + object.metadata.name + ' lies outside the podCIDRs of ' + variables.node + '; use an address out of them'",
        ),
        rule(
            "!has(object.status) || !has(object.status.identity) || object.status.identity.id >= 256 && object.status.identity.id <= 65535 || object.status.identity.id in [4, 5]",
            "'CiliumEndpoint ' + object.metadata.namespace + '/' + object.metadata.name + ' claims a reserved identity; a pod has one of 256 to 65535, init (5) or health (4)'",
        ),
    ];
    let variables = vec![
        node_variable(),
        variable(
            "foreign",
            "params == null || params.metadata.name != variables.node",
        ),
        variable(
            "nodeIPs",
            "!variables.foreign && has(params.spec.addresses) ? params.spec.addresses.filter(a, a.type == 'InternalIP').map(a, a.ip) : []",
        ),
        variable(
            "cidrs",
            "!variables.foreign && has(params.spec.ipam) && has(params.spec.ipam.podCIDRs) ? params.spec.ipam.podCIDRs.filter(c, isCIDR(c)) : []",
        ),
        variable(
            "networking",
            "has(object.status) && has(object.status.networking) ? object.status.networking : null",
        ),
        variable(
            "oldNetworking",
            "oldObject != null && has(oldObject.status) && has(oldObject.status.networking) ? oldObject.status.networking : null",
        ),
    ];
    let nodes = ParamKind {
        api_version: Some(format!("{GROUP}/{VERSION}")),
        kind: Some("CiliumNode".to_owned()),
    };
    admission(
        ENDPOINT_POLICY,
        "ciliumendpoints",
        variables,
        rules,
        Some(nodes),
    )
}

fn node_variable() -> Variable {
    let has_claim =
        format!("has(request.userInfo.extra) && '{NODE_CLAIM}' in request.userInfo.extra");
    variable(
        "node",
        &format!("{has_claim} ? request.userInfo.extra['{NODE_CLAIM}'][0] : ''"),
    )
}

fn named_node() -> Validation {
    rule(
        "variables.node != ''",
        "'the token of ' + request.userInfo.username + ' names no node; use the token projected into the agent pod'",
    )
}

fn variable(name: &str, expression: &str) -> Variable {
    Variable {
        name: name.to_owned(),
        expression: expression.to_owned(),
    }
}

fn rule(expression: &str, message: &str) -> Validation {
    Validation {
        expression: expression.to_owned(),
        message_expression: Some(message.to_owned()),
        reason: Some("Forbidden".to_owned()),
        ..Validation::default()
    }
}

fn admission(
    name: &str,
    resource: &str,
    variables: Vec<Variable>,
    validations: Vec<Validation>,
    param_kind: Option<ParamKind>,
) -> Admission {
    let param_ref = param_kind.as_ref().map(|_| ParamRef {
        selector: Some(LabelSelector::default()),
        parameter_not_found_action: Some("Deny".to_owned()),
        ..ParamRef::default()
    });
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    };
    Admission {
        policy: ValidatingAdmissionPolicy {
            metadata: metadata.clone(),
            spec: Some(ValidatingAdmissionPolicySpec {
                failure_policy: Some("Fail".to_owned()),
                match_conditions: Some(vec![agent_only()]),
                match_constraints: Some(writes_of(resource)),
                param_kind,
                validations: Some(validations),
                variables: Some(variables),
                ..ValidatingAdmissionPolicySpec::default()
            }),
            status: None,
        },
        binding: ValidatingAdmissionPolicyBinding {
            metadata,
            spec: ValidatingAdmissionPolicyBindingSpec {
                policy_name: name.to_owned(),
                param_ref,
                validation_actions: vec!["Deny".to_owned()],
                ..ValidatingAdmissionPolicyBindingSpec::default()
            },
        },
    }
}

fn agent_only() -> MatchCondition {
    MatchCondition {
        name: "agent".to_owned(),
        expression: format!(
            "request.userInfo.username == 'system:serviceaccount:{NAMESPACE}:{AGENT}'"
        ),
    }
}

/// Creations and updates; agents have no right to delete.
fn writes_of(resource: &str) -> MatchResources {
    let list = |items: &[&str]| Some(items.iter().map(|&s| s.to_owned()).collect());
    let status = format!("{resource}/status");
    MatchResources {
        resource_rules: Some(vec![NamedRuleWithOperations {
            api_groups: list(&[GROUP]),
            api_versions: list(&[VERSION]),
            operations: list(&["CREATE", "UPDATE"]),
            resources: list(&[resource, &status]),
            ..NamedRuleWithOperations::default()
        }]),
        match_policy: Some("Equivalent".to_owned()),
        ..MatchResources::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_is_bound_by_its_name_denies_and_fails_closed() {
        for Admission { policy, binding } in policies() {
            assert_eq!(
                policy.spec.as_ref().unwrap().failure_policy.as_deref(),
                Some("Fail")
            );
            let spec = binding.spec;
            assert_eq!(Some(spec.policy_name), policy.metadata.name);
            assert_eq!(spec.validation_actions, ["Deny"]);
            assert_eq!(
                policy.spec.unwrap().param_kind.is_some(),
                spec.param_ref.is_some()
            );
        }
    }

    #[test]
    fn the_status_subresource_is_covered_too() {
        for Admission { policy, .. } in policies() {
            let constraints = policy.spec.unwrap().match_constraints.unwrap();
            let resources = constraints
                .resource_rules
                .unwrap()
                .remove(0)
                .resources
                .unwrap();
            assert_eq!(format!("{}/status", resources[0]), resources[1]);
        }
    }

    /// What other nodes believe of a CiliumNode is not its agent's to change.
    #[test]
    fn what_an_agent_leaves_as_it_was_is_compared_with_the_old_object() {
        let spec = node_policy().policy.spec.unwrap();
        for (now, before) in [
            ("podCIDRs", "oldPodCIDRs"),
            ("internalIPs", "oldInternalIPs"),
            ("labels", "oldLabels"),
        ] {
            let equal = format!("variables.{now} == variables.{before}");
            let rules = spec.validations.iter().flatten();
            assert_eq!(
                rules.filter(|r| r.expression.ends_with(&equal)).count(),
                1,
                "{equal}"
            );
            let variables = spec.variables.iter().flatten();
            let of_old = variables.filter(|v| v.name == before).all(|v| {
                v.expression
                    .starts_with("oldObject != null && has(oldObject.")
            });
            assert!(of_old, "{before}");
        }
    }

    #[test]
    fn every_variable_is_defined_before_it_is_used() {
        for Admission { policy, .. } in policies() {
            let spec = policy.spec.unwrap();
            let mut defined = Vec::new();
            let used = |text: &str| -> Vec<String> {
                let names = text.split("variables.").skip(1);
                names
                    .map(|rest| {
                        rest.chars()
                            .take_while(char::is_ascii_alphanumeric)
                            .collect()
                    })
                    .collect()
            };
            for v in spec.variables.unwrap() {
                assert!(
                    used(&v.expression)
                        .iter()
                        .all(|name| defined.contains(name)),
                    "{}",
                    v.expression
                );
                defined.push(v.name);
            }
            for v in spec.validations.unwrap() {
                let text = format!("{} {}", v.expression, v.message_expression.unwrap());
                assert!(
                    used(&text).iter().all(|name| defined.contains(name)),
                    "{text}"
                );
            }
        }
    }
}

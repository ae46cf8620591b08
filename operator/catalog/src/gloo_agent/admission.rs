//! ValidatingAdmissionPolicy that holds the agent to policies of its own, outside protected namespaces.
//!
//! The agent does what the management server says, and the server may be in the hands of somebody else. RBAC cannot tell one
//! policy from another; these expressions do. They speak about the agent's ServiceAccount only.

use gloo_api::{
    labels,
    names::{AGENT, NAMESPACE, PROTECTED_NAMESPACES},
};
use kube_core::DynamicObject;
use serde_json::{Value, json};

use crate::object::Builder;
use crate::{Input, RenderError};

const GROUP: &str = "admissionregistration.k8s.io/v1";
/// Name of the policy and of its binding.
pub(super) const NAME: &str = "gloo-mesh-agent-own-policies";

pub(super) fn all(builder: &Builder, input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let binding = json!({"spec": {"policyName": NAME, "validationActions": ["Deny"]}});
    Ok(vec![
        builder.cluster(
            (GROUP, "ValidatingAdmissionPolicy"),
            NAME,
            json!({"spec": policy(input)}),
        )?,
        builder.cluster((GROUP, "ValidatingAdmissionPolicyBinding"), NAME, binding)?,
    ])
}

fn policy(input: &Input) -> Value {
    let name = "request.namespace + '/' + request.name";
    let agent = format!("system:serviceaccount:{NAMESPACE}:{AGENT}");
    json!({
        "failurePolicy": "Fail",
        "matchConditions": [{"name": "agent", "expression": format!("request.userInfo.username == '{agent}'")}],
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "resourceRules": [{
                "apiGroups": ["cilium.io"], "apiVersions": ["v2"], "operations": ["CREATE", "UPDATE", "DELETE"],
                "resources": ["ciliumnetworkpolicies", "ciliumnetworkpolicies/status"],
            }],
        },
        "variables": [
            {"name": "now", "expression": "object != null && has(object.metadata.labels) ? object.metadata.labels : {}"},
            {"name": "before", "expression": "oldObject != null && has(oldObject.metadata.labels) ? oldObject.metadata.labels : {}"},
        ],
        "validations": [
            rule(
                &format!("!(request.namespace in ['{}'])", PROTECTED_NAMESPACES.join("', '")),
                &format!("'CiliumNetworkPolicy ' + {name} + ' is in a namespace that the management plane leaves alone'"),
            ),
            rule(
                &format!("object == null || ({})", labelled("now", input)),
                &format!("'CiliumNetworkPolicy ' + {name} + ' lacks the labels of the management plane for this cluster'"),
            ),
            rule(
                &format!("oldObject == null || ({})", labelled("before", input)),
                &format!("'CiliumNetworkPolicy ' + {name} + ' belongs to somebody else; the management plane changes only its own'"),
            ),
        ],
    })
}

/// The ownership labels, with this cluster as the one the policy is for.
fn labelled(variable: &str, input: &Input) -> String {
    let wanted = [
        (labels::AGENT, labels::GLOO_MESH),
        (labels::OWNER, labels::GLOO_MESH),
        (labels::RECONCILER, labels::TRANSLATOR),
        (labels::RELAY_CLUSTER, input.cluster_name()),
    ];
    let one = |(key, value)| {
        format!("'{key}' in variables.{variable} && variables.{variable}['{key}'] == '{value}'")
    };
    wanted.map(one).join(" && ")
}

fn rule(expression: &str, message: &str) -> Value {
    json!({"expression": expression, "messageExpression": message, "reason": "Forbidden"})
}

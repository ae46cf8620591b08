//! The definitions of the three kinds.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
    ValidationRule,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{kinds::PolicyStatus, rule::Rule};
use crate::crd::{self, Column, Property, Shape};

/// Networks under a name, for the schema.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only its schema is used; the value stays as written"
)]
struct CidrGroupSpec {
    /// The networks.
    #[serde(rename = "externalCIDRs")]
    external_cidrs: Vec<String>,
}

/// The definitions of the three kinds.
pub(crate) fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        policy(
            "CiliumNetworkPolicy",
            "ciliumnetworkpolicies",
            "ciliumnetworkpolicy",
            &["cnp", "ciliumnp"],
            "Namespaced",
            "What may reach and leave the pods of a namespace.",
        ),
        policy(
            "CiliumClusterwideNetworkPolicy",
            "ciliumclusterwidenetworkpolicies",
            "ciliumclusterwidenetworkpolicy",
            &["ccnp"],
            "Cluster",
            "What may reach and leave the pods of every namespace.",
        ),
        cidr_group(),
    ]
}

fn policy(
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short_names: &'static [&'static str],
    scope: &'static str,
    description: &'static str,
) -> CustomResourceDefinition {
    let rule = keeping_unknown(crd::schema_of::<Rule>());
    let rules = JSONSchemaProps {
        type_: Some("array".to_owned()),
        description: Some("Several rules.".to_owned()),
        items: Some(JSONSchemaPropsOrArray::Schema(Box::new(rule.clone()))),
        ..JSONSchemaProps::default()
    };
    crd::build(&Shape {
        kind,
        plural,
        singular,
        short_names,
        scope,
        description,
        columns: &[
            Column::new(
                "Age",
                "date",
                ".metadata.creationTimestamp",
                "Time since creation",
            ),
            Column::new(
                "Valid",
                "string",
                ".status.conditions[?(@.type=='Valid')].status",
                "Whether every part of the policy is followed",
            ),
        ],
        properties: vec![
            Property::optional("spec", rule),
            Property::optional("specs", rules),
            Property::optional("status", crd::schema_of::<PolicyStatus>()),
        ],
        rules: vec![ValidationRule {
            rule: "has(self.spec) || has(self.specs)".to_owned(),
            message: Some("a policy needs a rule: write one in spec or specs".to_owned()),
            ..ValidationRule::default()
        }],
        status_subresource: true,
    })
}

fn cidr_group() -> CustomResourceDefinition {
    crd::build(&Shape {
        kind: "CiliumCIDRGroup",
        plural: "ciliumcidrgroups",
        singular: "ciliumcidrgroup",
        short_names: &["ccg"],
        scope: "Cluster",
        description: "Networks outside the cluster under a name that policies refer to.",
        columns: &[Column::new(
            "Age",
            "date",
            ".metadata.creationTimestamp",
            "Time since creation",
        )],
        properties: vec![Property::required(
            "spec",
            keeping_unknown(crd::schema_of::<CidrGroupSpec>()),
        )],
        rules: Vec::new(),
        status_subresource: false,
    })
}

/// Marks every object of a schema so that the API server keeps fields it does not know: we want to refuse them by name.
fn keeping_unknown(mut schema: JSONSchemaProps) -> JSONSchemaProps {
    let is_map = matches!(
        schema.additional_properties,
        Some(JSONSchemaPropsOrBool::Schema(_))
    );
    if schema.type_.as_deref() == Some("object") && !is_map {
        schema.additional_properties = None;
        schema.x_kubernetes_preserve_unknown_fields = Some(true);
    }
    schema.properties = schema.properties.map(|fields| {
        fields
            .into_iter()
            .map(|(k, v)| (k, keeping_unknown(v)))
            .collect()
    });
    schema.items = schema.items.map(|items| match items {
        JSONSchemaPropsOrArray::Schema(item) => {
            JSONSchemaPropsOrArray::Schema(Box::new(keeping_unknown(*item)))
        }
        JSONSchemaPropsOrArray::Schemas(items) => {
            JSONSchemaPropsOrArray::Schemas(items.into_iter().map(keeping_unknown).collect())
        }
    });
    schema
}

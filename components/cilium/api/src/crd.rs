//! CustomResourceDefinitions of the kinds this release implements.
//!
//! A kind nothing implements is not served.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceSubresourceStatus,
    CustomResourceSubresources, CustomResourceValidation, JSONSchemaProps, ValidationRule,
};
use kube::{
    CustomResourceExt,
    api::ObjectMeta,
    core::schema::{OptionalEnum, StructuralSchemaRewriter},
};
use schemars::{JsonSchema, generate::SchemaSettings, transform::AddNullable};

use crate::{
    endpoint, identity,
    load_balancer_pool::CiliumLoadBalancerIPPool,
    names::{GROUP, VERSION},
    node::CiliumNode,
    policy,
};

/// Every CustomResourceDefinition of this crate.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![
        endpoint::crd(),
        identity::crd(),
        CiliumNode::crd(),
        CiliumLoadBalancerIPPool::crd(),
    ];
    crds.extend(policy::crds());
    crds
}

/// What a definition is made of when the kind is not one `spec`, which is all `kube::CustomResource` can express.
pub(crate) struct Shape<'a> {
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) short_names: &'static [&'static str],
    pub(crate) scope: &'static str,
    pub(crate) description: &'static str,
    pub(crate) columns: &'a [Column],
    pub(crate) properties: Vec<Property>,
    pub(crate) rules: Vec<ValidationRule>,
    pub(crate) status_subresource: bool,
}

/// A field at the top of an object.
pub(crate) struct Property {
    name: &'static str,
    schema: JSONSchemaProps,
    required: bool,
}

impl Property {
    pub(crate) fn optional(name: &'static str, schema: JSONSchemaProps) -> Self {
        Self {
            name,
            schema,
            required: false,
        }
    }

    pub(crate) fn required(name: &'static str, schema: JSONSchemaProps) -> Self {
        Self {
            required: true,
            ..Self::optional(name, schema)
        }
    }
}

/// One column of `kubectl get`.
pub(crate) struct Column {
    name: &'static str,
    type_: &'static str,
    path: &'static str,
    description: &'static str,
    wide: bool,
}

impl Column {
    pub(crate) const fn new(
        name: &'static str,
        type_: &'static str,
        path: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            type_,
            path,
            description,
            wide: false,
        }
    }

    /// Shown with `-o wide` only.
    pub(crate) const fn wide(self) -> Self {
        Self { wide: true, ..self }
    }

    fn definition(&self) -> CustomResourceColumnDefinition {
        CustomResourceColumnDefinition {
            name: self.name.to_owned(),
            type_: self.type_.to_owned(),
            json_path: self.path.to_owned(),
            description: Some(self.description.to_owned()),
            priority: self.wide.then_some(1),
            format: None,
        }
    }
}

/// Structural schema of a type, as `kube::CustomResource` would make it.
pub(crate) fn schema_of<T: JsonSchema>() -> JSONSchemaProps {
    let settings = SchemaSettings::openapi3()
        .with(|s| {
            s.inline_subschemas = true;
            s.meta_schema = None;
        })
        .with_transform(AddNullable::default())
        .with_transform(StructuralSchemaRewriter)
        .with_transform(OptionalEnum);
    decode(
        settings
            .into_generator()
            .into_root_schema_for::<T>()
            .to_value(),
    )
}

#[expect(
    clippy::expect_used,
    reason = "a schema of this crate's own types; every call is reached by a test"
)]
fn decode(schema: serde_json::Value) -> JSONSchemaProps {
    serde_json::from_value(schema).expect("schemars writes schemas that Kubernetes' type can hold")
}

pub(crate) fn build(shape: &Shape<'_>) -> CustomResourceDefinition {
    CustomResourceDefinition {
        metadata: ObjectMeta {
            name: Some(format!("{}.{GROUP}", shape.plural)),
            ..ObjectMeta::default()
        },
        spec: CustomResourceDefinitionSpec {
            group: GROUP.to_owned(),
            names: CustomResourceDefinitionNames {
                categories: Some(vec!["cilium".to_owned()]),
                kind: shape.kind.to_owned(),
                list_kind: Some(format!("{}List", shape.kind)),
                plural: shape.plural.to_owned(),
                short_names: Some(shape.short_names.iter().map(|&s| s.to_owned()).collect()),
                singular: Some(shape.singular.to_owned()),
            },
            scope: shape.scope.to_owned(),
            versions: vec![version(shape)],
            ..CustomResourceDefinitionSpec::default()
        },
        status: None,
    }
}

fn version(shape: &Shape<'_>) -> CustomResourceDefinitionVersion {
    let needed = shape.properties.iter().filter(|p| p.required);
    let required = ["metadata"]
        .into_iter()
        .chain(needed.map(|p| p.name))
        .map(str::to_owned)
        .collect();
    let properties = shape
        .properties
        .iter()
        .map(|p| (p.name.to_owned(), p.schema.clone()))
        .collect();
    let root = JSONSchemaProps {
        type_: Some("object".to_owned()),
        description: Some(shape.description.to_owned()),
        properties: Some(properties),
        required: Some(required),
        x_kubernetes_validations: (!shape.rules.is_empty()).then(|| shape.rules.clone()),
        ..JSONSchemaProps::default()
    };
    CustomResourceDefinitionVersion {
        name: VERSION.to_owned(),
        served: true,
        storage: true,
        additional_printer_columns: Some(shape.columns.iter().map(Column::definition).collect()),
        schema: Some(CustomResourceValidation {
            open_api_v3_schema: Some(root),
        }),
        subresources: Some(CustomResourceSubresources {
            status: shape
                .status_subresource
                .then(|| CustomResourceSubresourceStatus(serde_json::json!({}))),
            scale: None,
        }),
        ..CustomResourceDefinitionVersion::default()
    }
}

#[cfg(test)]
mod tests;

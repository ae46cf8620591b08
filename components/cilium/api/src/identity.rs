//! CiliumIdentity: a number and the label set it stands for. Written by the operator only.

use std::borrow::Cow;

use k8s_openapi::{
    ClusterResourceScope,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Resource, api::ObjectMeta};
use serde::{Deserialize, Serialize};

use crate::{
    crd::{self, Column, Property, Shape},
    identity_labels::LabelSet,
    names::{GROUP, POD_NAMESPACE_LABEL, VERSION},
    numeric_identity::NumericIdentity,
};

/// Kind, as in `kind:`.
pub const KIND: &str = "CiliumIdentity";
const API_VERSION: &str = "cilium.io/v2";

/// An identity: its name is the decimal number, `security-labels` what it stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CiliumIdentity {
    #[serde(rename = "apiVersion", default = "api_version")]
    api_version: Cow<'static, str>,
    #[serde(default = "kind")]
    kind: Cow<'static, str>,
    /// The name is the number; the labels are those of the set that came from the pod, for `kubectl get ciliumid -l`.
    pub metadata: ObjectMeta,
    /// The label set, keys with their source.
    #[serde(rename = "security-labels")]
    pub security_labels: LabelSet,
}

fn api_version() -> Cow<'static, str> {
    API_VERSION.into()
}

fn kind() -> Cow<'static, str> {
    KIND.into()
}

impl CiliumIdentity {
    /// The object for a number and its label set.
    pub fn new(number: NumericIdentity, labels: LabelSet) -> Self {
        let searchable = [(
            POD_NAMESPACE_LABEL.to_owned(),
            labels.namespace().unwrap_or_default().to_owned(),
        )];
        let metadata = ObjectMeta {
            name: Some(number.to_string()),
            labels: Some(searchable.into_iter().collect()),
            ..ObjectMeta::default()
        };
        Self {
            api_version: api_version(),
            kind: kind(),
            metadata,
            security_labels: labels,
        }
    }

    /// The number, when the name is one the operator may allocate.
    pub fn number(&self) -> Option<NumericIdentity> {
        let number: NumericIdentity = self.metadata.name.as_deref()?.parse().ok()?;
        number.is_allocated().then_some(number)
    }
}

impl Resource for CiliumIdentity {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "ciliumidentities".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The CustomResourceDefinition of this kind.
pub fn crd() -> CustomResourceDefinition {
    crd::build(&Shape {
        kind: KIND,
        plural: "ciliumidentities",
        singular: "ciliumidentity",
        short_names: &["ciliumid"],
        scope: "Cluster",
        description: "A security identity: the name is its number, security-labels the label set it stands for.",
        columns: &[
            Column::new(
                "Namespace",
                "string",
                r".metadata.labels.io\.kubernetes\.pod\.namespace",
                "The namespace of the entity",
            ),
            Column::new(
                "Age",
                "date",
                ".metadata.creationTimestamp",
                "The age of the identity",
            ),
        ],
        properties: vec![Property::required(
            "security-labels",
            crd::schema_of::<LabelSet>(),
        )],
        rules: Vec::new(),
        status_subresource: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_named_by_its_number_and_carries_its_labels_at_the_top() {
        let labels = LabelSet::from_iter([
            ("k8s:app", "web"),
            ("k8s:io.kubernetes.pod.namespace", "shop"),
        ]);
        let identity = CiliumIdentity::new(NumericIdentity(300), labels);
        assert_eq!(
            serde_json::to_value(&identity).unwrap(),
            serde_json::json!({
                "apiVersion": "cilium.io/v2", "kind": "CiliumIdentity",
                "metadata": {"name": "300", "labels": {"io.kubernetes.pod.namespace": "shop"}},
                "security-labels": {"k8s:app": "web", "k8s:io.kubernetes.pod.namespace": "shop"},
            })
        );
    }

    #[test]
    fn a_name_outside_the_allocated_range_is_no_number() {
        let numbers = ["300", "1", "65536", "web"].map(|name| {
            let mut identity = CiliumIdentity::new(NumericIdentity(300), LabelSet::default());
            identity.metadata.name = Some(name.into());
            identity.number()
        });
        assert_eq!(numbers, [Some(NumericIdentity(300)), None, None, None]);
    }
}

//! The three kinds as objects.

use std::borrow::Cow;

use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::{Resource, api::ObjectMeta};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Condition;
use crate::names::{GROUP, VERSION};

const API_VERSION: &str = "cilium.io/v2";

/// Type of the condition that says whether a policy is followed in full.
pub const VALID: &str = "Valid";

/// What the Cilium operator says about a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyStatus {
    /// Conditions; the one of type `Valid` is ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A kind, its required constants, and what Kubernetes' clients ask of it.
macro_rules! kind {
    ($(#[$doc:meta])* $kind:ident, $plural:literal, $scope:ty, { $($(#[$attr:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $kind {
            #[serde(rename = "apiVersion", default = "api_version")]
            api_version: Cow<'static, str>,
            #[serde(default)]
            kind: Cow<'static, str>,
            /// Name, and what else every object has.
            pub metadata: ObjectMeta,
            $($(#[$attr])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $field: $type,)*
        }

        impl $kind {
            /// An object without content.
            pub fn new(name: &str) -> Self {
                Self {
                    api_version: api_version(),
                    kind: stringify!($kind).into(),
                    metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
                    $($field: None,)*
                }
            }
        }

        impl Resource for $kind {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                stringify!($kind).into()
            }

            fn group((): &()) -> Cow<'_, str> {
                GROUP.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                VERSION.into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

fn api_version() -> Cow<'static, str> {
    API_VERSION.into()
}

kind! {
    /// Policy of the pods of one namespace.
    CiliumNetworkPolicy, "ciliumnetworkpolicies", NamespaceResourceScope, {
        /// One rule, as written.
        pub spec: Option<Value>,
        /// Several rules, as written.
        pub specs: Option<Value>,
        /// What the Cilium operator says about it.
        pub status: Option<PolicyStatus>,
    }
}

kind! {
    /// Policy of the pods of every namespace.
    CiliumClusterwideNetworkPolicy, "ciliumclusterwidenetworkpolicies", ClusterResourceScope, {
        /// One rule, as written.
        pub spec: Option<Value>,
        /// Several rules, as written.
        pub specs: Option<Value>,
        /// What the Cilium operator says about it.
        pub status: Option<PolicyStatus>,
    }
}

kind! {
    /// Addresses under a name that policies refer to.
    CiliumCIDRGroup, "ciliumcidrgroups", ClusterResourceScope, {
        /// The addresses, as written.
        pub spec: Option<Value>,
    }
}

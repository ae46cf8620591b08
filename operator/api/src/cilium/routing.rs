//! How packets get from node to node.

use std::borrow::Cow;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How packets get from node to node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Routing {
    /// Tunnel: VXLAN between node addresses. Native: packets of pods as they are; all nodes are on one layer 2 network. While
    /// Cilium runs, another mode needs the annotation `gloonetwork.io/confirm-routing-mode` with that mode: until every agent
    /// has started anew, pods of nodes in different modes do not reach each other.
    #[serde(default)]
    pub mode: RoutingMode,
    /// `Auto` (of the node's interface, less the overhead of a tunnel) or a number of bytes from 1280 to 9216.
    #[serde(default)]
    #[x_kube(validation = Rule::new("type(self) == int ? (self >= 1280 && self <= 9216) : self == 'Auto'").message("cilium.routing.mtu must be Auto or a number from 1280 to 9216"))]
    pub mtu: Mtu,
}

/// How packets get from node to node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RoutingMode {
    /// VXLAN between node addresses; asks nothing of the network below.
    #[default]
    Tunnel,
    /// Packets of pods as they are, straight to the node; every node is on one layer 2 network with every other.
    Native,
}

impl RoutingMode {
    /// The word as it is written in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tunnel => "Tunnel",
            Self::Native => "Native",
        }
    }
}

/// MTU of pod interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mtu {
    /// What the node's interface carries, less the overhead of a tunnel.
    #[default]
    Auto,
    /// This many bytes.
    Bytes(u16),
}

impl Serialize for Mtu {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("Auto"),
            Self::Bytes(bytes) => serializer.serialize_u16(*bytes),
        }
    }
}

impl<'de> Deserialize<'de> for Mtu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Bytes(u16),
            Word(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Bytes(bytes) => Ok(Self::Bytes(bytes)),
            Raw::Word(word) if word == "Auto" => Ok(Self::Auto),
            Raw::Word(word) => Err(de::Error::custom(format!(
                "mtu is \"{word}\", want Auto or a number"
            ))),
        }
    }
}

impl JsonSchema for Mtu {
    fn schema_name() -> Cow<'static, str> {
        "Mtu".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true})
    }
}

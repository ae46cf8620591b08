//! Security identities as the datapath knows them: 32-bit numbers.
//!
//! Source: Cilium 1.20 `pkg/identity/numericidentity.go`: 1..=255 reserved, 256..=65535 allocated per cluster, the top
//! eight bits a scope.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};

/// A security identity.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NumericIdentity(pub u32);

impl NumericIdentity {
    /// No identity known; the datapath drops or asks again, it never allows on it.
    pub const UNKNOWN: Self = Self(0);
    /// The node itself.
    pub const HOST: Self = Self(1);
    /// Anything outside the cluster.
    pub const WORLD: Self = Self(2);
    /// A pod not managed by this CNI.
    pub const UNMANAGED: Self = Self(3);
    /// The health endpoint of a node.
    pub const HEALTH: Self = Self(4);
    /// A pod whose labels are not known yet.
    pub const INIT: Self = Self(5);
    /// Another node of the cluster.
    pub const REMOTE_NODE: Self = Self(6);
    /// The API server.
    pub const KUBE_APISERVER: Self = Self(7);
    /// The ingress proxy.
    pub const INGRESS: Self = Self(8);
    /// First number the operator allocates.
    pub const FIRST_ALLOCATED: Self = Self(256);
    /// Last number the operator allocates.
    pub const LAST_ALLOCATED: Self = Self(65_535);

    /// Whether the operator may give this number to a label set.
    pub fn is_allocated(self) -> bool {
        (Self::FIRST_ALLOCATED..=Self::LAST_ALLOCATED).contains(&self)
    }

    /// Name of a reserved identity as `cilium identity list` shows it.
    pub fn reserved_name(self) -> Option<&'static str> {
        Some(match self {
            Self::UNKNOWN => "unknown",
            Self::HOST => "host",
            Self::WORLD => "world",
            Self::UNMANAGED => "unmanaged",
            Self::HEALTH => "health",
            Self::INIT => "init",
            Self::REMOTE_NODE => "remote-node",
            Self::KUBE_APISERVER => "kube-apiserver",
            Self::INGRESS => "ingress",
            _ => return None,
        })
    }
}

impl fmt::Display for NumericIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for NumericIdentity {
    type Err = ParseIntError;

    /// Reads the decimal name of a CiliumIdentity object.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_256_to_65535_are_given_to_label_sets() {
        let allocated: Vec<bool> = [0, 1, 255, 256, 65_535, 65_536, 1 << 24]
            .map(|n| NumericIdentity(n).is_allocated())
            .into();
        assert_eq!(allocated, [false, false, false, true, true, false, false]);
    }

    #[test]
    fn reserved_identities_have_ciliums_names() {
        let names: Vec<_> = (0..=9)
            .map(|n| NumericIdentity(n).reserved_name().unwrap_or("-"))
            .collect();
        assert_eq!(
            names,
            [
                "unknown",
                "host",
                "world",
                "unmanaged",
                "health",
                "init",
                "remote-node",
                "kube-apiserver",
                "ingress",
                "-"
            ]
        );
    }

    #[test]
    fn the_name_of_a_cilium_identity_is_its_number() {
        assert_eq!("4711".parse(), Ok(NumericIdentity(4711)));
        assert!("web".parse::<NumericIdentity>().is_err());
    }
}

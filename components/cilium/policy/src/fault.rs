//! Known mistakes of policy engines, to be made on purpose: tests must notice each.
//!
//! Without the feature `testing` none can be made and the questions vanish from the code.

use cilium_api::NumericIdentity;

/// A mistake somebody made before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// CVE-2023-41333: a negative requirement on the namespace frees a selector from it.
    SelectorLeavesNamespace,
    /// The same for the pods a policy is for.
    SubjectLeavesNamespace,
    /// A negative requirement of a clusterwide policy is met by nodes and the world.
    NegativeMatchesReserved,
    /// CVE-2024-47825: a narrower allow beats a broader deny.
    NarrowAllowBeatsDeny,
    /// CVE-2026-25804 in our terms: of an allow and a deny of one width the allow wins.
    AllowBeatsDeny,
    /// CVE-2025-30163: a selector of nodes selects pods with such labels.
    NodesSelectPods,
    /// CVE-2025-64715: a CIDR group nobody knows is no peer condition at all.
    UnknownGroupIsEveryone,
    /// CVE-2026-39350 in our terms: a name is taken for the beginning of names.
    NamesArePatterns,
    /// CVE-2026-56743: an ipBlock allows the namespace of the policy.
    IpBlockAllowsNamespace,
    /// An empty list of peers is taken for an absent one.
    EmptyPeersAreEveryone,
    /// Exceptions of a network are forgotten.
    ExceptForgotten,
    /// An unknown field is dropped unseen.
    UnknownFieldDropped,
    /// Ports of TCP are opened for every protocol.
    ProtocolForgotten,
    /// CVE-2023-39347: labels a pod brings along are taken for those of its namespace.
    PodLabelsAreNamespaceLabels,
    /// Entity `cluster` is a list of who is in it, and one is not on the list.
    ClusterForgets(NumericIdentity),
}

impl Fault {
    /// Every one of them.
    pub const ALL: [Self; 17] = [
        Self::SelectorLeavesNamespace,
        Self::SubjectLeavesNamespace,
        Self::NegativeMatchesReserved,
        Self::NarrowAllowBeatsDeny,
        Self::AllowBeatsDeny,
        Self::NodesSelectPods,
        Self::UnknownGroupIsEveryone,
        Self::NamesArePatterns,
        Self::IpBlockAllowsNamespace,
        Self::EmptyPeersAreEveryone,
        Self::ExceptForgotten,
        Self::UnknownFieldDropped,
        Self::ProtocolForgotten,
        Self::PodLabelsAreNamespaceLabels,
        Self::ClusterForgets(NumericIdentity::UNMANAGED),
        Self::ClusterForgets(NumericIdentity::HEALTH),
        Self::ClusterForgets(NumericIdentity::INGRESS),
    ];
}

/// The mistake that is made, if any.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    #[cfg(feature = "testing")]
    made: Option<Fault>,
}

impl Faults {
    #[cfg(feature = "testing")]
    pub(crate) fn making(fault: Fault) -> Self {
        Self { made: Some(fault) }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn has(self, fault: Fault) -> bool {
        self.made == Some(fault)
    }

    #[cfg(not(feature = "testing"))]
    #[expect(
        clippy::unused_self,
        reason = "the other half of this pair looks at it"
    )]
    pub(crate) const fn has(self, _fault: Fault) -> bool {
        false
    }
}

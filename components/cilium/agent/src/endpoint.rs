//! One pod's attachment to the node, and the states it goes through. Pure.

use std::fmt;
use std::net::Ipv4Addr;

use cilium_api::{EndpointState, NumericIdentity};
use cilium_cni::model;
use datapath::Mac;
use serde::{Deserialize, Serialize};

use crate::policy::Enforcement;

/// What a runtime calls an attachment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AttachmentKey {
    pub container_id: String,
    pub ifname: String,
}

impl fmt::Display for AttachmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.container_id, self.ifname)
    }
}

/// The Pod an attachment belongs to, as the runtime named it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PodRef {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl fmt::Display for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What is kept of an endpoint, also over restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Endpoint {
    pub id: u16,
    pub attachment: AttachmentKey,
    pub pod: Option<PodRef>,
    pub ip: Ipv4Addr,
    pub mac: Mac,
    pub host_mac: Mac,
    pub ifindex: u32,
    /// Name of the node's side.
    pub interface: String,
    pub identity: NumericIdentity,
    /// What the identity stands for, each `source:key=value`.
    pub labels: Vec<String>,
    /// Number of the policy in the datapath; 0: none yet, and nothing passes.
    pub policy: u32,
    pub state: EndpointState,
}

impl Endpoint {
    /// Who the address belongs to, in IPAM and for people.
    pub fn owner(&self) -> String {
        self.pod
            .as_ref()
            .map_or_else(|| self.attachment.to_string(), ToString::to_string)
    }

    pub fn for_datapath(&self) -> datapath::Endpoint {
        datapath::Endpoint {
            id: self.id,
            ip: self.ip,
            mac: self.mac,
            host_mac: self.host_mac,
            ifindex: self.ifindex,
            identity: self.identity.0,
            policy: self.policy,
        }
    }

    /// The form of the REST API.
    pub fn to_model(&self, enforcement: Enforcement) -> model::Endpoint {
        let pod = self.pod.as_ref();
        model::Endpoint {
            id: self.id,
            status: model::EndpointStatus {
                state: state_name(self.state).to_owned(),
                external_identifiers: model::ExternalIdentifiers {
                    container_id: self.attachment.container_id.clone(),
                    cni_attachment_id: self.attachment.to_string(),
                    k8s_namespace: pod.map(|pod| pod.namespace.clone()).unwrap_or_default(),
                    k8s_pod_name: pod.map(|pod| pod.name.clone()).unwrap_or_default(),
                    container_interface_name: self.attachment.ifname.clone(),
                },
                identity: model::EndpointIdentity {
                    id: self.identity.0,
                    labels: self.labels.clone(),
                },
                labels: model::EndpointLabels {
                    security_relevant: self.labels.clone(),
                },
                networking: model::EndpointNetworking {
                    addressing: vec![model::AddressPair {
                        ipv4: Some(self.ip),
                        ..model::AddressPair::default()
                    }],
                    host_mac: self.host_mac.to_string(),
                    interface_index: self.ifindex,
                    interface_name: self.interface.clone(),
                    mac: self.mac.to_string(),
                },
                policy: model::EndpointPolicy {
                    realized: model::RealizedPolicy {
                        id: self.identity.0,
                        policy_enabled: enforcement.word().to_owned(),
                    },
                },
            },
        }
    }
}

/// Cilium's name of a state, as in its API and metrics.
pub fn state_name(state: EndpointState) -> &'static str {
    match state {
        EndpointState::Creating => "creating",
        EndpointState::WaitingForIdentity => "waiting-for-identity",
        EndpointState::NotReady => "not-ready",
        EndpointState::WaitingToRegenerate => "waiting-to-regenerate",
        EndpointState::Regenerating => "regenerating",
        EndpointState::Restoring => "restoring",
        EndpointState::Ready => "ready",
        EndpointState::Disconnecting => "disconnecting",
        EndpointState::Disconnected => "disconnected",
        EndpointState::Invalid => "invalid",
    }
}

/// Every state, for metrics that name those with no endpoint too.
pub const STATES: [EndpointState; 10] = [
    EndpointState::Creating,
    EndpointState::WaitingForIdentity,
    EndpointState::NotReady,
    EndpointState::WaitingToRegenerate,
    EndpointState::Regenerating,
    EndpointState::Restoring,
    EndpointState::Ready,
    EndpointState::Disconnecting,
    EndpointState::Disconnected,
    EndpointState::Invalid,
];

/// Cilium's endpoint lifecycle: which state may follow which.
pub fn may_follow(from: EndpointState, to: EndpointState) -> bool {
    use EndpointState as S;
    match to {
        // From any state but the last two, and never back.
        S::Disconnecting => !matches!(from, S::Disconnecting | S::Disconnected),
        S::Disconnected => from == S::Disconnecting,
        S::WaitingForIdentity => matches!(from, S::Creating | S::Restoring | S::Ready),
        S::WaitingToRegenerate => matches!(
            from,
            S::Creating | S::WaitingForIdentity | S::Restoring | S::Ready | S::NotReady
        ),
        S::Regenerating => from == S::WaitingToRegenerate,
        // A pod whose labels are not known yet carries traffic as `init` and waits on.
        S::Ready => matches!(from, S::Regenerating | S::Restoring),
        S::NotReady | S::Invalid => {
            matches!(
                from,
                S::Creating | S::Regenerating | S::WaitingToRegenerate | S::Restoring
            )
        }
        S::Creating | S::Restoring => false,
    }
}

/// The state of an endpoint whose datapath is written.
pub fn settled(identity: NumericIdentity) -> EndpointState {
    if identity == NumericIdentity::INIT {
        EndpointState::WaitingForIdentity
    } else {
        EndpointState::Ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_names_are_those_of_the_custom_resource() {
        for state in STATES {
            let written = serde_json::to_value(state).unwrap();
            assert_eq!(written, state_name(state));
        }
    }

    #[test]
    fn nothing_comes_back_from_disconnected() {
        for state in STATES {
            assert!(!may_follow(EndpointState::Disconnected, state), "{state:?}");
            let leaves = state == EndpointState::Disconnected;
            assert_eq!(
                may_follow(EndpointState::Disconnecting, state),
                leaves,
                "{state:?}"
            );
        }
    }

    #[test]
    fn a_new_endpoint_is_ready_only_after_its_datapath_was_written() {
        use EndpointState as S;
        let path = [
            S::Creating,
            S::WaitingToRegenerate,
            S::Regenerating,
            S::Ready,
        ];
        assert!(path.windows(2).all(|step| may_follow(step[0], step[1])));
        assert!(!may_follow(S::Creating, S::Ready));
        assert!(!may_follow(S::WaitingToRegenerate, S::Ready));
    }

    #[test]
    fn a_pod_without_labels_waits_for_its_identity() {
        assert_eq!(
            settled(NumericIdentity::INIT),
            EndpointState::WaitingForIdentity
        );
        assert_eq!(settled(NumericIdentity(300)), EndpointState::Ready);
    }
}

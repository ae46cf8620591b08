//! From a pod to the identity and the policy that judge it, before its first packet.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use cilium_api::NumericIdentity;
use cilium_policy::Subject;
use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use crate::agent::{Agent, blocking};
use crate::endpoint::{Endpoint, PodRef};
use crate::endpoints::Admitted;
use crate::identity::{Identities, Resolved};
use crate::ports;

/// How long an ADD waits for the API server's lists; a runtime tries a refused ADD again.
const LISTS_PATIENCE: Duration = Duration::from_secs(20);
/// How long an ADD waits for the pod's identity. Afterwards the pod starts as `init`, isolated until it has one.
const IDENTITY_PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// What a new pod is judged by. The error is a sentence for the runtime, which tries again.
pub async fn admit(agent: &Arc<Agent>, pod: Option<&PodRef>) -> Result<Admitted, String> {
    let began = Instant::now();
    while !agent.policies.ready() {
        if began.elapsed() > LISTS_PATIENCE {
            return Err(format!(
                "the pod would start without its policies: waiting for the API server to list {}; try again later",
                agent.watched.unsynced().join(", ")
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
    let began = Instant::now();
    loop {
        let identity = agent.identity_of(pod, &agent.identities());
        let known = identity.number != NumericIdentity::INIT;
        if known || pod.is_none() || began.elapsed() > IDENTITY_PATIENCE {
            let worker = agent.clone();
            let pod = pod.cloned();
            let admitted = blocking(move || worker.admit(identity, pod.as_ref())).await;
            return admitted.unwrap_or_else(|| {
                Err("resolving the pod's policies panicked; see the agent's log".to_owned())
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Agent {
    /// The policy of a pod with this identity, written to the datapath.
    fn admit(&self, identity: Resolved, pod: Option<&PodRef>) -> Result<Admitted, String> {
        let known = pod.and_then(|pod| self.watched.pods.get(&pod.namespace, &pod.name));
        let named_ports = known
            .map(|pod| ports::by_name(&ports::of_pod(&pod)))
            .unwrap_or_default();
        let subject = Subject {
            identity: identity.number.0,
            named_ports,
        };
        let policy = self.policies.admit(&subject)?;
        Ok(Admitted { identity, policy })
    }

    /// What a pod of this node is judged by now. `None`: it stays as it is.
    pub fn readmit(
        &self,
        endpoint: &Endpoint,
        identities: &Identities,
    ) -> Option<Result<Admitted, String>> {
        // A pod object that is gone while its sandbox still stands keeps what it had.
        let pod = endpoint.pod.as_ref();
        let gone =
            pod.is_some_and(|pod| self.watched.pods.get(&pod.namespace, &pod.name).is_none());
        if gone {
            return None;
        }
        let identity = match pod {
            Some(_) => self.identity_of(pod, identities),
            // Nothing can be asked about a pod whose name is lost: it stays who it was.
            None => Resolved {
                number: endpoint.identity,
                labels: endpoint.labels.clone(),
            },
        };
        Some(self.admit(identity, pod))
    }

    /// The pod of an endpoint whose state was lost: the one that the API server knows by this address.
    pub fn name_of(&self, endpoint: &Endpoint) -> Option<PodRef> {
        if endpoint.pod.is_some() {
            return None;
        }
        let pods = self.watched.pods.list();
        pod_at(pods.iter().map(AsRef::as_ref), endpoint.ip)
    }
}

fn pod_at<'a>(pods: impl IntoIterator<Item = &'a Pod>, address: Ipv4Addr) -> Option<PodRef> {
    let address = address.to_string();
    let is_it = |pod: &&Pod| {
        let on_host = pod.spec.as_ref().and_then(|spec| spec.host_network);
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        // A pod that has ended keeps the address in its status when another one has it.
        on_host != Some(true)
            && !matches!(phase, Some("Succeeded" | "Failed"))
            && status.and_then(|status| status.pod_ip.as_deref()) == Some(&address)
    };
    let pod = pods.into_iter().find(is_it)?;
    Some(PodRef {
        namespace: pod.metadata.namespace.clone()?,
        name: pod.metadata.name.clone()?,
        uid: pod.metadata.uid.clone()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, phase: &str, on_host: bool) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": name, "uid": name},
            "spec": {"hostNetwork": on_host, "containers": []},
            "status": {"phase": phase, "podIP": "10.244.1.7"},
        }))
        .unwrap()
    }

    #[test]
    fn an_address_names_the_pod_that_runs_with_it() {
        let pods = [
            pod("ended", "Succeeded", false),
            pod("host", "Running", true),
            pod("web", "Running", false),
        ];
        let at = |ip: &str| pod_at(&pods, ip.parse().unwrap()).map(|pod| pod.to_string());
        assert_eq!(at("10.244.1.7").as_deref(), Some("shop/web"));
        assert_eq!(at("10.244.1.8"), None);
        assert_eq!(pod_at(&pods[..2], "10.244.1.7".parse().unwrap()), None);
    }
}

//! From a pod to the identity and the policy that judge it, before its first packet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cilium_api::NumericIdentity;
use cilium_policy::Subject;

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
        let identity = self.identity_of(pod, identities);
        Some(self.admit(identity, pod))
    }
}

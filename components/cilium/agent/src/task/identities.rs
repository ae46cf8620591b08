//! Pods whose labels got a number, or another one.

use std::sync::Arc;

use crate::agent::{Agent, blocking};
use crate::bell::Bell;
use crate::task::{REPAIR, RETRY};

pub async fn run(agent: Arc<Agent>, bell: Bell) {
    let mut pause = REPAIR;
    loop {
        bell.wait(pause).await;
        // Before both are listed, "no such pod" would turn known pods back into `init`.
        if !agent.watched.pods.synced()
            || !agent.watched.identities.synced()
            || !agent.watched.namespaces.synced()
        {
            continue;
        }
        let worker = agent.clone();
        let failures = blocking(move || pass(&worker))
            .await
            .unwrap_or_else(|| vec!["identity task panicked".to_owned()]);
        pause = if failures.is_empty() { REPAIR } else { RETRY };
        agent.report("identities", failures.into_iter().next());
    }
}

fn pass(agent: &Agent) -> Vec<String> {
    let identities = agent.identities();
    let mut failures = Vec::new();
    for endpoint in agent.endpoints.list() {
        let resolved = agent.identity_of(endpoint.pod.as_ref(), &identities);
        // A pod object that is gone while its sandbox still stands keeps the identity it had.
        let unknown = endpoint
            .pod
            .as_ref()
            .is_none_or(|pod| agent.watched.pods.get(&pod.namespace, &pod.name).is_none());
        if unknown {
            continue;
        }
        if let Err(error) = agent.endpoints.set_identity(endpoint.id, &resolved) {
            failures.push(cilium_cni::error::chain(&error));
        }
    }
    failures
}

//! This node's endpoints as CiliumEndpoint objects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cilium_api::{CiliumEndpoint, EndpointState};
use k8s_openapi::api::core::v1::Pod;

use crate::agent::Agent;
use crate::bell::Bell;
use crate::endpoint::Endpoint;
use crate::identity::is_same;
use crate::ports;
use crate::publish::{About, cilium_endpoint, is_stale};
use crate::task::{REPAIR, RETRY};

/// The watch shows a write a moment later; until then the write counts.
const SEEN_AFTER: Duration = Duration::from_secs(5);

/// What was last written for each endpoint, and when.
type Written = BTreeMap<u16, (CiliumEndpoint, Instant)>;

pub async fn run(agent: Arc<Agent>, bell: Bell) {
    let mut written = Written::new();
    let mut pause = RETRY;
    loop {
        bell.wait(pause).await;
        // What a CiliumEndpoint says of its pod, and whose it is, is the Pod's.
        if !agent.watched.pods.synced() {
            continue;
        }
        let began = Instant::now();
        let problem = pass(&agent, &mut written).await;
        if problem.is_some() {
            agent.tally.publish_failures.fetch_add(1, Ordering::Relaxed);
        }
        pause = if problem.is_none() { REPAIR } else { RETRY };
        agent.ran("publish", began, problem);
    }
}

/// One object that is refused (its namespace is ending, an older pod of its name still has it) does not keep the others.
async fn pass(agent: &Agent, written: &mut Written) -> Option<String> {
    let endpoints = agent.endpoints.list();
    written.retain(|id, _| endpoints.iter().any(|endpoint| endpoint.id == *id));
    // First, so that no two claim an address that has another pod now.
    let mut problem = withdraw(agent, &endpoints).await;
    for endpoint in endpoints {
        if endpoint.state == EndpointState::Disconnecting {
            continue;
        }
        // The collector would delete it at once, and a pod that is gone has nothing to report.
        let Some(pod) = owner(agent, &endpoint) else {
            continue;
        };
        let about = about(agent, &endpoint, &pod);
        let Some(object) = cilium_endpoint(&endpoint, agent.own.ip, &about) else {
            continue;
        };
        if written.get(&endpoint.id).is_some_and(|(last, when)| {
            *last == object && (when.elapsed() < SEEN_AFTER || in_force(agent, &object))
        }) {
            continue;
        }
        match agent.kubernetes.apply_cilium_endpoint(&object).await {
            Ok(()) => {
                written.insert(endpoint.id, (object, Instant::now()));
            }
            Err(error) => problem = Some(cilium_cni::error::chain(&error)),
        }
    }
    problem
}

/// Takes back what CiliumEndpoints of Pods of this node say of addresses these have no more.
async fn withdraw(agent: &Agent, local: &[Endpoint]) -> Option<String> {
    let mut problem = None;
    for pod in agent.watched.pods.list() {
        let metadata = &pod.metadata;
        let (Some(namespace), Some(name)) = (&metadata.namespace, &metadata.name) else {
            continue;
        };
        let Some(claimed) = agent.watched.endpoints.get(namespace, name) else {
            continue;
        };
        if !is_stale(&pod, &claimed, local, agent.own.ip) {
            continue;
        }
        match agent.kubernetes.withdraw_cilium_endpoint(&claimed).await {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(%namespace, %name, "Address of a CiliumEndpoint is withdrawn: its pod has it no more");
            }
            Err(error) => problem = Some(cilium_cni::error::chain(&error)),
        }
    }
    problem
}

fn owner(agent: &Agent, endpoint: &Endpoint) -> Option<Arc<Pod>> {
    let reference = endpoint.pod.as_ref()?;
    let pod = agent
        .watched
        .pods
        .get(&reference.namespace, &reference.name)?;
    is_same(&pod, &reference.uid).then_some(pod)
}

fn about(agent: &Agent, endpoint: &Endpoint, pod: &Pod) -> About {
    let spec = pod.spec.as_ref();
    About {
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        enforcement: agent
            .policies
            .enforcement(endpoint.policy)
            .unwrap_or_default(),
        named_ports: ports::of_pod(pod),
        service_account: spec.and_then(|spec| spec.service_account_name.clone()),
        labels: pod.metadata.labels.clone().unwrap_or_default(),
    }
}

/// Whether the object that the watch sees still says it; somebody may have deleted or edited it.
fn in_force(agent: &Agent, object: &CiliumEndpoint) -> bool {
    let metadata = &object.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    !agent.watched.endpoints.synced()
        || agent
            .watched
            .endpoints
            .get(namespace, name)
            .is_some_and(|known| {
                known.status == object.status && known.metadata.labels == object.metadata.labels
            })
}

//! This node's CiliumNode: written again when it is deleted or edited, and watched for another podCIDR.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cilium_api::CiliumNode;
use cilium_api::policy::UNPLACED_ANNOTATION;

use crate::agent::Agent;
use crate::bell::Bell;
use crate::publish::cilium_node;
use crate::range::given;
use crate::task::{REPAIR, RETRY};

/// cilium-operator puts a podCIDR that somebody else wrote right within a second.
const PUT_RIGHT: Duration = Duration::from_secs(15);

/// Ends only when the agent has to start anew; the sentence says why.
pub async fn run(agent: Arc<Agent>, bell: Bell, boot_id: String) -> String {
    let mut pause = RETRY;
    let mut changed = None;
    loop {
        bell.wait(pause).await;
        if !agent.watched.nodes.synced() {
            continue;
        }
        let seen = agent.watched.nodes.get("", &agent.own.name);
        if let Some(moved) = seen.as_deref().and_then(|node| moved(&agent, node)) {
            let since = *changed.get_or_insert_with(Instant::now);
            if since.elapsed() > PUT_RIGHT {
                return moved;
            }
            agent.report("node", Some(moved));
            pause = RETRY;
            continue;
        }
        changed = None;
        let began = Instant::now();
        let problem = write(&agent, seen.as_deref(), &boot_id).await;
        pause = if problem.is_none() { REPAIR } else { RETRY };
        agent.ran("node", began, problem);
    }
}

async fn write(agent: &Agent, seen: Option<&CiliumNode>, boot_id: &str) -> Option<String> {
    let own = &agent.own;
    let desired = cilium_node(
        &own.name,
        own.ip,
        own.pod_cidrs.first().copied(),
        Some(own.router),
        &given(seen),
        boot_id,
        &agent.policies.unplaced(),
    );
    if seen.is_some_and(|node| says(node, &desired)) {
        return None;
    }
    let written = agent
        .kubernetes
        .apply_cilium_node(&agent.own.name, &desired)
        .await;
    written.err().map(|error| cilium_cni::error::chain(&error))
}

fn says(node: &CiliumNode, desired: &serde_json::Value) -> bool {
    let annotations = node.metadata.annotations.clone().unwrap_or_default();
    let wanted = desired["metadata"]["annotations"].as_object();
    let unplaced = annotations.get(UNPLACED_ANNOTATION).map(String::as_str);
    serde_json::to_value(&node.spec.addresses)
        .is_ok_and(|addresses| addresses == desired["spec"]["addresses"])
        // Also when it shall be gone.
        && unplaced == desired["metadata"]["annotations"][UNPLACED_ANNOTATION].as_str()
        && wanted.is_some_and(|wanted| {
            wanted
                .iter()
                .all(|(key, value)| annotations.get(key).map(String::as_str) == value.as_str())
        })
}

/// Another range than the one the pods have addresses from.
fn moved(agent: &Agent, node: &CiliumNode) -> Option<String> {
    let given = given(Some(node));
    if given.is_empty() || given == agent.own.pod_cidrs {
        return None;
    }
    Some(format!(
        "podCIDRs of CiliumNode {} changed from {:?} to {given:?}; if that lasts, the agent starts anew with them and pods with older addresses must be recreated",
        agent.own.name, agent.own.pod_cidrs
    ))
}

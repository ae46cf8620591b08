//! The node's address and podCIDRs: asked of the API server, remembered for the time when it is away.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use cilium_api::CiliumNode;
use cilium_cni::error::chain;
use ipnet::Ipv4Net;

use crate::ipam::router_address;
use crate::kubernetes::Watched;
use crate::publish::cilium_node;
use crate::restore;
use crate::run::{RunError, Start};
use crate::store::NodeState;

const PAUSE: Duration = Duration::from_millis(250);
/// After this long without the API server a restarted agent goes on with what it knew.
const API_PATIENCE: Duration = Duration::from_secs(8);

/// Returns when this node's ranges are known, now or from before a restart.
pub(crate) async fn wait(start: &Start, watched: &Watched) -> Result<NodeState, RunError> {
    let began = Instant::now();
    let kept = start.store.node();
    let mut announced = false;
    loop {
        let impatient = began.elapsed() > API_PATIENCE && !watched.nodes.synced();
        if let Some(state) = kept.as_ref().filter(|_| impatient) {
            tracing::warn!(
                "API server does not answer; going on with what was known before the restart"
            );
            return Ok(state.clone());
        }
        match ask(start, watched, kept.as_ref(), &mut announced).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) => start.progress.waiting(&chain(&error)),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(
    start: &Start,
    watched: &Watched,
    kept: Option<&NodeState>,
    announced: &mut bool,
) -> Result<Option<NodeState>, RunError> {
    if !watched.nodes.synced() {
        start.progress.waiting(
            "waiting for the API server to list CiliumNodes; the GlooNetwork operator makes their CRD",
        );
        return Ok(None);
    }
    let ip = start.arguments.node_ip;
    let seen = watched.nodes.get("", &start.node);
    let given = given(seen.as_deref());
    if seen.is_none() || !*announced {
        let cidr = kept.and_then(|state| state.pod_cidrs.first().copied());
        let object = cilium_node(
            &start.node,
            ip,
            cidr,
            kept.map(|state| state.router),
            &given,
            &start.boot_id,
            &BTreeSet::new(),
        );
        start
            .kubernetes
            .apply_cilium_node(&start.node, &object)
            .await?;
        *announced = true;
    }
    if given.is_empty() {
        let sentence = format!(
            "waiting for cilium-operator to give CiliumNode {} its podCIDRs",
            start.node
        );
        start.progress.waiting(&sentence);
        return Ok(None);
    }
    let state = decide(start, ip, given, kept)?;
    start.store.write_node(&state)?;
    Ok(Some(state))
}

/// The ranges of a CiliumNode, in their canonical form.
pub(crate) fn given(node: Option<&CiliumNode>) -> Vec<Ipv4Net> {
    node.into_iter()
        .flat_map(CiliumNode::pod_cidrs)
        .map(|cidr| cidr.trunc())
        .collect()
}

/// The router keeps its address over restarts, since every pod has it as its gateway.
fn decide(
    start: &Start,
    ip: Ipv4Addr,
    pod_cidrs: Vec<Ipv4Net>,
    kept: Option<&NodeState>,
) -> Result<NodeState, RunError> {
    let router = if let Some(state) = kept.filter(|state| state.pod_cidrs == pod_cidrs) {
        state.router
    } else {
        let found = restore::load(&start.store).endpoints;
        let held: Vec<Ipv4Addr> = found.iter().map(|endpoint| endpoint.ip).collect();
        router_address(&pod_cidrs, &held).ok_or_else(|| RunError::NoRouter(pod_cidrs.clone()))?
    };
    Ok(NodeState {
        ip,
        pod_cidrs,
        router,
    })
}

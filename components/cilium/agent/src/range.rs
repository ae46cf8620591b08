//! The node's address and podCIDRs: asked of the API server, remembered for the time when it is away.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use cilium_api::CiliumNode;
use cilium_cni::error::chain;
use ipnet::Ipv4Net;

use crate::ipam::router_address;
use crate::kubernetes::Watched;
use crate::nodes::router;
use crate::publish::cilium_node;
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
    let published = seen.as_deref().and_then(router);
    if seen.is_none() || !*announced {
        let cidr = kept.and_then(|state| state.pod_cidrs.first().copied());
        let object = cilium_node(
            &start.node,
            ip,
            cidr,
            kept.map(|state| state.router).or(published),
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
    let state = decide(start, ip, given, kept, published)?;
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

fn decide(
    start: &Start,
    ip: Ipv4Addr,
    pod_cidrs: Vec<Ipv4Net>,
    kept: Option<&NodeState>,
    published: Option<Ipv4Addr>,
) -> Result<NodeState, RunError> {
    let held = || {
        let found = start.store.load();
        found.iter().map(|endpoint| endpoint.ip).collect()
    };
    let router = router_of(&pod_cidrs, kept, published, held)
        .ok_or_else(|| RunError::NoRouter(pod_cidrs.clone()))?;
    Ok(NodeState {
        ip,
        pod_cidrs,
        router,
    })
}

/// The router keeps its address over restarts, since every pod has it as its gateway: the one written down here, or where that
/// cannot be read the one in this node's CiliumNode.
fn router_of(
    pod_cidrs: &[Ipv4Net],
    kept: Option<&NodeState>,
    published: Option<Ipv4Addr>,
    held: impl FnOnce() -> Vec<Ipv4Addr>,
) -> Option<Ipv4Addr> {
    let known = match kept {
        Some(state) => (state.pod_cidrs == pod_cidrs).then_some(state.router),
        None => published,
    };
    known.or_else(|| router_address(pod_cidrs, &held()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_is_as_written_down_or_as_published_and_only_then_an_address_that_is_free() {
        let ip = |last| Ipv4Addr::new(10, 244, 1, last);
        let cidrs = ["10.244.1.0/24".parse().unwrap()];
        let kept = |cidrs: &[Ipv4Net]| NodeState {
            ip: Ipv4Addr::new(172, 30, 0, 11),
            pod_cidrs: cidrs.to_vec(),
            router: ip(5),
        };
        let held = || vec![ip(1)];
        let same = router_of(&cidrs, Some(&kept(&cidrs)), Some(ip(6)), held);
        assert_eq!(same, Some(ip(5)));
        let unread = router_of(&cidrs, None, Some(ip(6)), held);
        assert_eq!(unread, Some(ip(6)));
        let moved = router_of(&cidrs, Some(&kept(&[])), Some(ip(6)), held);
        let new = router_of(&cidrs, None, None, held);
        assert_eq!([moved, new], [Some(ip(2)); 2]);
    }
}

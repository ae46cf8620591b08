//! What an agent does first: take over what an earlier process left running. Nothing healthy is touched.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cilium_api::NumericIdentity;
use cilium_cni::queue::Queue;
use datapath::Datapath;
use datapath::link::Link;

use crate::endpoint::{AttachmentKey, Endpoint};
use crate::endpoints::Endpoints;
use crate::store::{Found, Store};

const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// What became of the endpoints of an earlier process.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Restored {
    pub kept: usize,
    /// Sentences about what was dropped or could not be read.
    pub problems: Vec<String>,
}

/// `links` are the node's interfaces now. An endpoint whose link is gone has no pod any more. One that only the datapath
/// knows (the state folder was lost) is kept as long as its link is there.
pub fn restore(
    endpoints: &Endpoints,
    store_found: Found,
    datapath: &dyn Datapath,
    links: &[Link],
) -> Restored {
    let by_index: BTreeMap<u32, &Link> = links.iter().map(|link| (link.index, link)).collect();
    let mut restored = Restored {
        kept: 0,
        problems: store_found.problems,
    };
    let known: Vec<u16> = store_found
        .endpoints
        .iter()
        .map(|endpoint| endpoint.id)
        .collect();
    let unknown = orphans(datapath, &known, &by_index, &mut restored.problems);
    let active = datapath.is_active();
    for mut endpoint in store_found.endpoints.into_iter().chain(unknown) {
        if !active {
            // Numbers of policies are given anew in empty maps: the old one may be another pod's.
            endpoint.policy = 0;
        }
        let name = format!("endpoint {} of {}", endpoint.id, endpoint.owner());
        let alive = by_index
            .get(&endpoint.ifindex)
            .is_some_and(|link| link.name == endpoint.interface);
        if !alive {
            restored.problems.push(format!(
                "{name} is dropped: interface {} is gone",
                endpoint.interface
            ));
            drop_dead(endpoints, datapath, &endpoint, &mut restored.problems);
            continue;
        }
        match endpoints.adopt(endpoint) {
            Ok(()) => restored.kept += 1,
            Err(error) => restored.problems.push(format!(
                "{name} could not be restored: {}",
                cilium_cni::error::chain(&error)
            )),
        }
    }
    restored
}

fn drop_dead(
    endpoints: &Endpoints,
    datapath: &dyn Datapath,
    endpoint: &Endpoint,
    problems: &mut Vec<String>,
) {
    let removed = datapath
        .remove_endpoint(endpoint.id)
        .and_then(|()| datapath.remove_ip(endpoint.ip.into()));
    if let Err(error) = removed {
        problems.push(format!(
            "endpoint {} stays in the datapath: {error}",
            endpoint.id
        ));
    }
    endpoints.discard_state(endpoint.id);
}

fn orphans(
    datapath: &dyn Datapath,
    known: &[u16],
    links: &BTreeMap<u32, &Link>,
    problems: &mut Vec<String>,
) -> Vec<Endpoint> {
    let found = match datapath.endpoints() {
        Ok(found) => found,
        Err(error) => {
            problems.push(format!("endpoints of the datapath cannot be read: {error}"));
            Vec::new()
        }
    };
    found
        .into_iter()
        .filter(|endpoint| !known.contains(&endpoint.id))
        .map(|endpoint| Endpoint {
            id: endpoint.id,
            attachment: AttachmentKey {
                container_id: format!("unknown-{}", endpoint.id),
                ifname: "eth0".to_owned(),
            },
            pod: None,
            ip: endpoint.ip,
            mac: endpoint.mac,
            host_mac: endpoint.host_mac,
            ifindex: endpoint.ifindex,
            interface: links
                .get(&endpoint.ifindex)
                .map(|link| link.name.clone())
                .unwrap_or_default(),
            identity: NumericIdentity(endpoint.identity),
            labels: Vec::new(),
            policy: endpoint.policy,
            state: cilium_api::EndpointState::Restoring,
        })
        .collect()
}

/// Endpoints whose link is gone although nobody called DEL: the pod's namespace died with its node's runtime.
pub fn abandoned(endpoints: &[Endpoint], links: &[Link]) -> Vec<AttachmentKey> {
    endpoints
        .iter()
        .filter(|endpoint| {
            !links
                .iter()
                .any(|link| link.index == endpoint.ifindex && link.name == endpoint.interface)
        })
        .map(|endpoint| endpoint.attachment.clone())
        .collect()
}

/// The lock of the deletion queue, to be held from before the socket listens until [`drain`] is done.
pub fn lock_queue(folder: &Path) -> std::io::Result<Queue> {
    Queue::lock(folder, LOCK_PATIENCE)
}

/// Does what DEL left while no agent was there. A deletion that fails stays for the next start.
pub fn drain(queue: &Queue, endpoints: &Endpoints) -> std::io::Result<usize> {
    let mut done = 0;
    for (path, deletion) in queue.entries()? {
        let key = AttachmentKey {
            container_id: deletion.container_id,
            ifname: deletion.container_interface_name,
        };
        match endpoints.delete(&key) {
            Ok(_) => {
                std::fs::remove_file(path)?;
                done += 1;
            }
            Err(error) => {
                tracing::warn!(endpoint = %key, error = cilium_cni::error::chain(&error), "A queued deletion failed and stays queued");
            }
        }
    }
    Ok(done)
}

/// The state folder's endpoints, for [`restore`].
pub fn load(store: &Store) -> Found {
    store.load().unwrap_or_else(|error| Found {
        endpoints: Vec::new(),
        problems: vec![cilium_cni::error::chain(&error)],
    })
}

#[cfg(test)]
mod tests;

//! What an agent does first: take over what an earlier process left running. Nothing healthy is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use cilium_api::NumericIdentity;
use cilium_cni::error::chain;
use cilium_cni::queue::Queue;
use datapath::link::Link;
use datapath::{Datapath, Tenant};

use crate::endpoint::{AttachmentKey, Endpoint};
use crate::endpoints::Endpoints;

const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// What became of the endpoints of an earlier process.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Restored {
    pub kept: usize,
    /// Sentences about what was dropped or could not be taken over.
    pub problems: Vec<String>,
}

/// `links` are the node's interfaces now. An endpoint whose link is gone has no pod any more. One that only the datapath
/// knows (the state folder was lost, or a later release wrote it) is kept as long as its link is there.
pub fn restore(
    endpoints: &Endpoints,
    written: Vec<Endpoint>,
    datapath: &dyn Datapath,
    links: &[Link],
) -> Restored {
    let by_index: BTreeMap<u32, &Link> = links.iter().map(|link| (link.index, link)).collect();
    let mut restored = Restored::default();
    let active = datapath.is_active();
    let running = running(datapath, active, &by_index).unwrap_or_else(|error| {
        let problem = format!(
            "endpoints of the datapath cannot be read: {}",
            chain(&error)
        );
        restored.problems.push(problem);
        BTreeMap::new()
    });
    let known: BTreeSet<u16> = written.iter().map(|endpoint| endpoint.id).collect();
    let unknown = orphans(&running, &known, &by_index);
    let alive = |endpoint: &Endpoint| {
        let link = by_index.get(&endpoint.ifindex);
        link.is_some_and(|link| link.name == endpoint.interface)
    };
    let all = written.into_iter().chain(unknown);
    let (living, dead): (Vec<_>, Vec<_>) = all.partition(alive);
    // First: one of them may have had an address that a living one has now.
    for endpoint in dead {
        let problem = format!(
            "endpoint {} of {} is dropped: interface {} is gone",
            endpoint.id,
            endpoint.owner(),
            endpoint.interface
        );
        restored.problems.push(problem);
        drop_dead(endpoints, datapath, &endpoint, &mut restored.problems);
    }
    for mut endpoint in living {
        if !active {
            // Numbers of policies are given anew in empty maps: the old one may be another pod's.
            endpoint.policy = 0;
        } else if let Some(now) = running.get(&endpoint.id).filter(|now| is(&endpoint, now)) {
            // Written before its file, and by whoever ran last: a file may have waited for its release to come back.
            endpoint.identity = NumericIdentity(now.identity);
            endpoint.policy = now.policy;
        }
        let name = format!("endpoint {} of {}", endpoint.id, endpoint.owner());
        match endpoints.adopt(endpoint) {
            Ok(()) => restored.kept += 1,
            Err(error) => restored
                .problems
                .push(format!("{name} could not be restored: {}", chain(&error))),
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

/// What packets go through now. Of maps of another layout only that is known which lies with the connections: who a pod is and what
/// it may, the API server tells before those maps are replaced.
fn running(
    datapath: &dyn Datapath,
    active: bool,
    links: &BTreeMap<u32, &Link>,
) -> Result<BTreeMap<u16, datapath::Endpoint>, datapath::Error> {
    let found = if active {
        datapath.endpoints()?
    } else {
        let tenants = datapath.tenants()?.into_iter();
        tenants.map(|tenant| stranger(tenant, links)).collect()
    };
    let by_number = found.into_iter().map(|endpoint| (endpoint.id, endpoint));
    Ok(by_number.collect())
}

fn stranger(tenant: Tenant, links: &BTreeMap<u32, &Link>) -> datapath::Endpoint {
    datapath::Endpoint {
        id: tenant.id,
        ip: tenant.ip,
        mac: tenant.mac,
        host_mac: links
            .get(&tenant.ifindex)
            .map(|link| link.mac)
            .unwrap_or_default(),
        ifindex: tenant.ifindex,
        identity: NumericIdentity::INIT.0,
        policy: 0,
    }
}

fn is(endpoint: &Endpoint, running: &datapath::Endpoint) -> bool {
    (endpoint.ip, endpoint.ifindex, endpoint.mac) == (running.ip, running.ifindex, running.mac)
}

fn orphans(
    running: &BTreeMap<u16, datapath::Endpoint>,
    known: &BTreeSet<u16>,
    links: &BTreeMap<u32, &Link>,
) -> Vec<Endpoint> {
    running
        .values()
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
                tracing::warn!(endpoint = %key, error = chain(&error), "A queued deletion failed and stays queued");
            }
        }
    }
    Ok(done)
}

/// What people are told of files that could not be read.
pub fn summary(unread: &[String]) -> Option<String> {
    let first = unread.first()?;
    Some(match unread.len() - 1 {
        0 => first.clone(),
        more => format!("{first} (and {more} more, see the log)"),
    })
}

#[cfg(test)]
mod tests;

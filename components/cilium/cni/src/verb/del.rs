//! DEL: give everything back. Succeeds when it is already gone, and without a namespace.

use std::path::Path;
use std::time::Duration;

use datapath::link;

use crate::agent::Agent;
use crate::environment::Attachment;
use crate::error::Failure;
use crate::netconf::NetConf;
use crate::queue::{self, Deletion, Queue};
use crate::verb::host_interface;

/// Short: a node that is being drained deletes hundreds of pods, and the queue serves as well.
const PATIENCE: Duration = Duration::from_millis(500);
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// # Errors
/// Only where calling again helps: the agent refused, the queue could not be written, the link could not be removed.
pub async fn del(conf: &NetConf, attachment: &Attachment) -> Result<(), Failure> {
    del_with_queue(conf, attachment, Path::new(queue::DEFAULT_FOLDER)).await
}

/// [`del`] with the queue in a folder of the caller's.
pub async fn del_with_queue(
    conf: &NetConf,
    attachment: &Attachment,
    folder: &Path,
) -> Result<(), Failure> {
    // The agent first: the address must leave the datapath before the interface, and both before it is given again.
    let freed = match free(conf, attachment).await {
        Err(Failure::AgentAway(_)) => free_or_queue(conf, attachment, folder).await,
        answered => answered,
    };
    let unlinked = unlink(&host_interface(
        &attachment.container_id,
        &attachment.ifname,
    ));
    freed.and(unlinked)
}

/// Removing the node's side of a veth pair removes the container's side too.
pub(crate) fn unlink(name: &str) -> Result<(), Failure> {
    link::delete_pod_link(name)
        .map(drop)
        .map_err(|source| Failure::Link {
            doing: "removing the pod's interface",
            source,
        })
}

async fn free(conf: &NetConf, attachment: &Attachment) -> Result<(), Failure> {
    let mut agent = Agent::connect(&conf.agent_socket, PATIENCE).await?;
    agent
        .delete_endpoint(&attachment.container_id, &attachment.ifname)
        .await
}

async fn free_or_queue(
    conf: &NetConf,
    attachment: &Attachment,
    folder: &Path,
) -> Result<(), Failure> {
    let failed = |source| Failure::Queue {
        path: folder.display().to_string(),
        source,
    };
    let queue = Queue::lock(folder, LOCK_PATIENCE).map_err(failed)?;
    // With the lock in hand: an agent that came up meanwhile already listens.
    match free(conf, attachment).await {
        Err(Failure::AgentAway(_)) => queue
            .push(&Deletion {
                container_id: attachment.container_id.clone(),
                container_interface_name: attachment.ifname.clone(),
            })
            .map_err(failed),
        answered => answered,
    }
}

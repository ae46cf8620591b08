//! GC: free what belongs to no attachment the runtime still knows.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::agent::Agent;
use crate::error::Failure;
use crate::model::Endpoint;
use crate::netconf::{NetConf, ValidAttachment};
use crate::verb::{del, host_interface};

const PATIENCE: Duration = Duration::from_secs(5);

/// Address leases without an endpoint are not listed: they end by themselves.
///
/// # Errors
/// Code 11 without an agent. One endpoint that cannot be freed does not keep the others; its error is returned last.
pub async fn gc(conf: &NetConf) -> Result<(), Failure> {
    let valid: BTreeSet<ValidAttachment> =
        conf.valid_attachments.iter().flatten().cloned().collect();
    let mut agent = Agent::connect(&conf.agent_socket, PATIENCE).await?;
    let mut outcome = Ok(());
    for stale in stale(&agent.endpoints().await?, &valid) {
        let freed = agent
            .delete_endpoint(&stale.container_id, &stale.ifname)
            .await;
        let unlinked = del::unlink(&host_interface(&stale.container_id, &stale.ifname));
        outcome = outcome.and(freed).and(unlinked);
    }
    outcome
}

fn stale(endpoints: &[Endpoint], valid: &BTreeSet<ValidAttachment>) -> Vec<ValidAttachment> {
    endpoints
        .iter()
        .map(|endpoint| &endpoint.status.external_identifiers)
        .map(|ids| ValidAttachment {
            container_id: ids.container_id.clone(),
            ifname: ids.container_interface_name.clone(),
        })
        .filter(|attachment| !valid.contains(attachment))
        .collect()
}

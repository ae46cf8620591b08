//! STATUS: can ADD be served now?

use std::time::Duration;

use crate::agent::Agent;
use crate::error::Failure;
use crate::netconf::NetConf;

/// A node without free addresses still answers yes: saying no would make the node NotReady and evict its pods.
///
/// # Errors
/// Code 50, with the agent's own reason where it gives one.
pub async fn status(conf: &NetConf) -> Result<(), Failure> {
    let unavailable = |failure: Failure| {
        let cause =
            std::error::Error::source(&failure).map_or_else(String::new, |e| format!(": {e}"));
        Failure::NotAvailable(format!("{failure}{cause}"))
    };
    let mut agent = Agent::connect(&conf.agent_socket, Duration::ZERO)
        .await
        .map_err(unavailable)?;
    let status = agent.status().await.map_err(unavailable)?;
    if status.cni.is_failure() {
        return Err(Failure::NotAvailable(status.cni.msg));
    }
    Ok(())
}

//! What vanished from the node behind the agent's back: pods' interfaces without a DEL, and the node's own devices.

use std::sync::Arc;
use std::time::Duration;

use datapath::Routing;
use datapath::link::{Link, Netlink};

use crate::agent::{Agent, blocking};
use crate::restore::abandoned;

const PERIOD: Duration = Duration::from_secs(30);

/// Without them pods reach neither the node nor other nodes; the last one only where there is a tunnel.
const DEVICES: [&str; 3] = ["cilium_host", "cilium_net", "cilium_vxlan"];

/// Ends only when the agent has to start anew, which makes the node's devices again; the sentence says why.
pub async fn run(agent: Arc<Agent>) -> String {
    // An endpoint is given up only when its link is missing twice, so that one that is just being made is safe.
    let mut suspects = Vec::new();
    loop {
        tokio::time::sleep(PERIOD).await;
        let endpoints = agent.endpoints.list();
        let Some(Ok(links)) =
            blocking(|| Netlink::new().and_then(|mut netlink| netlink.links())).await
        else {
            continue;
        };
        if let Some(gone) = missing_device(&links, agent.own.routing) {
            return format!(
                "interface {gone} was removed from the node; the agent starts anew to make it again"
            );
        }
        let missing = abandoned(&endpoints, &links);
        for key in &missing {
            if suspects.contains(key) {
                tracing::warn!(endpoint = %key, "Interface is gone without a DEL; the endpoint is removed");
                let (worker, key) = (agent.clone(), key.clone());
                blocking(move || worker.endpoints.delete(&key)).await;
            }
        }
        suspects = missing;
    }
}

fn missing_device(links: &[Link], routing: Routing) -> Option<&'static str> {
    let number = match routing {
        Routing::Tunnel => DEVICES.len(),
        Routing::Native => DEVICES.len() - 1,
    };
    DEVICES
        .into_iter()
        .take(number)
        .find(|name| !links.iter().any(|link| link.name == *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_tunnel_device_is_named_where_there_is_a_tunnel() {
        let link = |name: &str| Link {
            index: 1,
            name: name.to_owned(),
            mac: datapath::Mac::default(),
            mtu: 1450,
            up: true,
            kind: None,
        };
        let mut links = DEVICES.map(link).to_vec();
        assert_eq!(missing_device(&links, Routing::Tunnel), None);
        links.pop();
        let missing = [Routing::Tunnel, Routing::Native].map(|mode| missing_device(&links, mode));
        assert_eq!(missing, [Some("cilium_vxlan"), None]);
        links.pop();
        assert_eq!(missing_device(&links, Routing::Native), Some("cilium_net"));
    }
}

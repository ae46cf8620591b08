//! Endpoints whose interface vanished without a DEL.

use std::sync::Arc;
use std::time::Duration;

use datapath::link::Netlink;

use crate::agent::{Agent, blocking};
use crate::restore::abandoned;

const PERIOD: Duration = Duration::from_secs(30);

pub async fn run(agent: Arc<Agent>) {
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

//! Events out of the kernel, to everybody who subscribed.

use std::sync::Arc;
use std::time::Duration;

use datapath::EventSource;

use crate::agent::{Agent, blocking};
use crate::task::RETRY;

/// How long the kernel is waited for at once; it bounds how long the agent takes to end.
const WAIT: Duration = Duration::from_millis(200);

pub async fn run(agent: Arc<Agent>) {
    loop {
        let worker = agent.clone();
        let opened = blocking(move || worker.datapath.events()).await;
        match opened {
            Some(Ok(source)) => {
                agent.report("events", None);
                let failure = follow(&agent, source).await;
                agent.report("events", Some(failure));
            }
            Some(Err(error)) => agent.report("events", Some(cilium_cni::error::chain(&error))),
            None => agent.report("events", Some("opening the events panicked".to_owned())),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Ends with the reason why no more can be read.
async fn follow(agent: &Arc<Agent>, mut source: Box<dyn EventSource>) -> String {
    loop {
        let read = blocking(move || {
            let events = source.next(WAIT);
            (events, source)
        })
        .await;
        match read {
            Some((Ok(events), back)) => {
                source = back;
                for event in events {
                    agent.events.publish(event);
                }
            }
            Some((Err(error), _)) => return cilium_cni::error::chain(&error),
            None => return "reading events panicked".to_owned(),
        }
    }
}

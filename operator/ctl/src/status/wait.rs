//! Waits until everything is healthy, and shows the way there.

use std::{io::IsTerminal, io::Write, pin::pin, time::Duration};

use futures::TryStreamExt;
use gloonet_api::{GlooNetwork, GlooNetworkStatus, SINGLETON, status::ComponentHealth};
use jiff::Timestamp;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::Instant;

use super::{StatusError, table, timeline::Timeline};

/// Follows the resource until the operator calls its newest generation Available with every component healthy.
///
/// An API server that goes away meanwhile is waited for like everything else. On a terminal the table is drawn in place;
/// elsewhere each change is a line on standard error.
pub(super) async fn until_available(
    client: Client,
    timeout: Duration,
) -> Result<(GlooNetwork, Timeline), StatusError> {
    let begin = Instant::now();
    let mut screen = Screen::default();
    let mut timeline = Timeline::default();
    let mut last = None;
    let follow = async {
        let api: Api<GlooNetwork> = Api::all(client);
        let mut stream = pin!(watcher::watch_object(api, SINGLETON).default_backoff());
        loop {
            let Ok(seen) = stream.try_next().await else {
                continue;
            };
            let Some(network) = seen.flatten() else {
                continue;
            };
            let status = network.status.clone().unwrap_or_default();
            let news = timeline.note(&status, begin.elapsed());
            screen.show(&status, &news);
            let done = arrived(&network, &status);
            last = Some(network);
            if done {
                return;
            }
        }
    };
    let in_time = tokio::time::timeout(timeout, follow).await.is_ok();
    screen.clear();
    match last {
        Some(network) if in_time => Ok((network, timeline)),
        last => Err(StatusError::NotAvailable {
            timeout,
            message: reason(last),
        }),
    }
}

/// Available, of this generation, and nothing on its way.
fn arrived(network: &GlooNetwork, status: &GlooNetworkStatus) -> bool {
    let is = |kind: &str, value: &str| {
        status
            .conditions
            .iter()
            .any(|condition| condition.type_ == kind && condition.status == value)
    };
    status.observed_generation == network.metadata.generation
        && is("Available", "True")
        && is("Progressing", "False")
        && status
            .components
            .iter()
            .all(|row| row.health == ComponentHealth::Healthy)
}

fn reason(last: Option<GlooNetwork>) -> String {
    let Some(network) = last else {
        return format!(
            "GlooNetwork {SINGLETON} was never seen; does it exist, and does the API server answer?"
        );
    };
    let status = network.status.unwrap_or_default();
    let open = status
        .components
        .iter()
        .filter(|row| row.health != ComponentHealth::Healthy);
    let rows: Vec<String> = open
        .map(|row| format!("{} is {}: {}", row.name, row.health.as_str(), row.message))
        .collect();
    match (rows.is_empty(), status.message.is_empty()) {
        (false, _) => rows.join("; "),
        (true, false) => status.message,
        (true, true) => {
            "the operator has not written a status; kubectl -n gloonet-system get pods".to_owned()
        }
    }
}

/// The table drawn in place on a terminal.
#[derive(Debug, Default)]
struct Screen {
    drawn: usize,
}

impl Screen {
    fn show(&mut self, status: &GlooNetworkStatus, news: &[String]) {
        if !std::io::stderr().is_terminal() {
            for line in news {
                eprintln!("{line}");
            }
            return;
        }
        self.clear();
        let text = table::components(&status.components, Timestamp::now(), true);
        self.drawn = text.lines().count();
        eprint!("{text}");
    }

    /// Takes the drawn lines back: cursor up, erase to the end of the screen (ECMA-48 CUU, ED).
    fn clear(&mut self) {
        if self.drawn > 0 {
            eprint!("\x1b[{}A\x1b[J", self.drawn);
            // Nothing is lost when a terminal cannot be flushed: the next line flushes it.
            let _ = std::io::stderr().flush();
            self.drawn = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use gloonet_api::GlooNetworkSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    use super::*;

    fn network(available: &str, progressing: &str, observed: i64) -> GlooNetwork {
        let condition = |kind: &str, status: &str| Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: "Test".to_owned(),
            message: String::new(),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: None,
        };
        let mut network = GlooNetwork::new(SINGLETON, GlooNetworkSpec::named("west"));
        network.metadata.generation = Some(2);
        network.status = Some(GlooNetworkStatus {
            observed_generation: Some(observed),
            conditions: vec![
                condition("Available", available),
                condition("Progressing", progressing),
            ],
            ..GlooNetworkStatus::default()
        });
        network
    }

    #[test]
    fn waiting_ends_only_with_the_newest_generation_available_and_nothing_on_its_way() {
        let ends = |network: &GlooNetwork| arrived(network, network.status.as_ref().unwrap());
        assert!(ends(&network("True", "False", 2)));
        assert!(!ends(&network("True", "False", 1)));
        assert!(!ends(&network("True", "True", 2)));
        assert!(!ends(&network("False", "False", 2)));
    }

    #[test]
    fn what_was_never_seen_is_told_from_what_never_became_healthy() {
        assert!(reason(None).contains("never seen"));
        assert!(reason(Some(network("False", "True", 2))).contains("has not written a status"));
    }
}

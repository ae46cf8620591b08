//! InsightsConfigs: what the administrator wants to see, and what is said about it in their status.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt;
use gloo_api::{Approval, InsightsConfig, names};
use gloo_insights::Settings;
use gloonet_daemon::watching::{Pauses, interrupted};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use serde_json::json;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

const MANAGER: &str = "gloo-mesh-insights";
/// How soon a status that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);

type Configs = BTreeMap<String, InsightsConfig>;

/// Follows the InsightsConfigs until `closing`.
pub async fn follow(client: Client, settings: watch::Sender<Settings>, closing: CancellationToken) {
    let api: Api<InsightsConfig> = Api::namespaced(client, names::NAMESPACE);
    let config = watcher::Config::default();
    let mut events = watcher(api.clone(), config)
        .backoff(Pauses::default())
        .boxed();
    let (mut known, mut listed) = (Configs::new(), Configs::new());
    let mut unwritten = false;
    loop {
        let look = tokio::select! {
            () = closing.cancelled() => return,
            event = events.next() => match event {
                Some(event) => take(event, &mut known, &mut listed),
                None => return,
            },
            () = sleep(AGAIN), if unwritten => true,
        };
        if look {
            let (all, written) = all(&api, &known).await;
            settings.send_replace(all);
            unwritten = !written;
        }
    }
}

/// Takes an event; `true`: the InsightsConfigs are known and may be others.
fn take(
    event: Result<Event<InsightsConfig>, watcher::Error>,
    known: &mut Configs,
    listed: &mut Configs,
) -> bool {
    match event {
        Ok(Event::Init) => listed.clear(),
        Ok(Event::InitApply(one)) => drop(listed.insert(one.name_any(), one)),
        Ok(Event::InitDone) => {
            *known = std::mem::take(listed);
            return true;
        }
        Ok(Event::Apply(one)) => {
            known.insert(one.name_any(), one);
            return true;
        }
        Ok(Event::Delete(one)) => {
            known.remove(&one.name_any());
            return true;
        }
        Err(error) => interrupted("InsightsConfig", &error),
    }
    false
}

/// What all of them say, and whether their statuses are written.
async fn all(api: &Api<InsightsConfig>, known: &Configs) -> (Settings, bool) {
    let (mut settings, mut all_written) = (Settings::default(), true);
    for (name, one) in known {
        let wrong = settings.add(&one.spec);
        if let Some(patch) = status(one, &wrong) {
            let parameters = PatchParams::apply(MANAGER);
            let written = api
                .patch_status(name, &parameters, &Patch::Merge(&patch))
                .await;
            if let Err(error) = written {
                all_written = false;
                tracing::warn!(config = name, %error, "the status of an InsightsConfig cannot be written");
            }
        }
    }
    (settings, all_written)
}

/// The status to write; `None` when it is there already.
fn status(one: &InsightsConfig, wrong: &[String]) -> Option<serde_json::Value> {
    let (approval, message) = if wrong.is_empty() {
        (Approval::Accepted, String::new())
    } else {
        (Approval::Warning, wrong.join("; "))
    };
    let generation = one.metadata.generation.unwrap_or_default();
    let wanted = json!({
        "observedGeneration": generation,
        "approval": approval.as_str(),
        "message": message,
    });
    let there = one
        .status
        .as_ref()
        .and_then(|status| serde_json::to_value(&status.common).ok())
        .unwrap_or_default();
    (there["State"] != wanted).then(|| json!({"status": {"common": {"State": wanted}}}))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::{
        Json, Router,
        extract::Request,
        http::{Method, StatusCode},
        response::IntoResponse as _,
    };
    use gloo_api::InsightsConfigSpec;
    use gloonet_daemon::asking;
    use kube::Config;
    use tokio::{net::TcpListener, sync::mpsc, time::timeout};

    use super::*;

    /// An API server with one InsightsConfig and no time for writes, which it tells of.
    async fn busy() -> (Client, mpsc::UnboundedReceiver<()>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (writes, written) = mpsc::unbounded_channel();
        let routes = Router::new().fallback(async move |request: Request| {
            if *request.method() == Method::PATCH {
                writes.send(()).unwrap();
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            let query = request.uri().query().unwrap_or_default();
            if query.contains("watch") {
                pending::<()>().await;
            }
            let one = InsightsConfig::new("settings", InsightsConfigSpec::default());
            Json(json!({"metadata": {"resourceVersion": "1"}, "items": [one]})).into_response()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, routes).await });
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let client = Client::try_from(asking::prudent(config)).unwrap();
        (client, written)
    }

    #[tokio::test]
    async fn a_status_the_server_had_no_time_for_is_written_later() {
        let (client, mut written) = busy().await;
        let (settings, _said) = watch::channel(Settings::default());
        tokio::spawn(follow(client, settings, CancellationToken::new()));
        for _ in 0..2 {
            let asked = timeout(3 * AGAIN, written.recv()).await;
            assert_eq!(asked, Ok(Some(())));
        }
    }

    #[test]
    fn a_status_is_written_once_and_says_what_cannot_be_followed() {
        let mut one = InsightsConfig::new("settings", InsightsConfigSpec::default());
        one.metadata.generation = Some(3);
        let patch = status(&one, &["CFG0999 is no code of this release".to_owned()]).unwrap();
        assert_eq!(patch["status"]["common"]["State"]["approval"], "WARNING");
        one.status = serde_json::from_value(patch["status"].clone()).unwrap();
        assert_eq!(
            status(&one, &["CFG0999 is no code of this release".to_owned()]),
            None
        );
        assert!(status(&one, &[]).is_some());
    }
}

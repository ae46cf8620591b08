//! InsightsConfigs: what the administrator wants to see, and what is said about it in their status.

use std::collections::BTreeMap;

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
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const MANAGER: &str = "gloo-mesh-insights";

/// Follows the InsightsConfigs until `closing`.
pub async fn follow(client: Client, settings: watch::Sender<Settings>, closing: CancellationToken) {
    let api: Api<InsightsConfig> = Api::namespaced(client, names::NAMESPACE);
    let config = watcher::Config::default();
    let mut events = watcher(api.clone(), config)
        .backoff(Pauses::default())
        .boxed();
    let (mut known, mut listed) = (BTreeMap::new(), BTreeMap::new());
    while let Some(Some(event)) = closing.run_until_cancelled(events.next()).await {
        match event {
            Ok(Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(Event::InitApply(one)) => {
                listed.insert(one.name_any(), one);
                continue;
            }
            Ok(Event::InitDone) => known = std::mem::take(&mut listed),
            Ok(Event::Apply(one)) => drop(known.insert(one.name_any(), one)),
            Ok(Event::Delete(one)) => drop(known.remove(&one.name_any())),
            Err(error) => {
                interrupted("InsightsConfig", &error);
                continue;
            }
        }
        settings.send_replace(all(&api, &known).await);
    }
}

async fn all(api: &Api<InsightsConfig>, known: &BTreeMap<String, InsightsConfig>) -> Settings {
    let mut settings = Settings::default();
    for (name, one) in known {
        let wrong = settings.add(&one.spec);
        if let Some(patch) = status(one, &wrong) {
            let parameters = PatchParams::apply(MANAGER);
            let written = api
                .patch_status(name, &parameters, &Patch::Merge(&patch))
                .await;
            if let Err(error) = written {
                tracing::warn!(config = name, %error, "the status of an InsightsConfig cannot be written");
            }
        }
    }
    settings
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
    use gloo_api::InsightsConfigSpec;

    use super::*;

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

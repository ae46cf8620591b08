//! Events of the GlooNetwork.

use anyhow::{Context, Result};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::Scene;

/// The operator does not say a sentence again within this time.
const QUIET: SignedDuration = SignedDuration::from_mins(10);

/// What the operator says for this reason: since `began`, and what it would not have said again since then.
pub fn said(scene: &Scene, reason: &str, began: Timestamp) -> Result<Vec<String>> {
    let list = ["get", "events.events.k8s.io", "--namespace=default"];
    let list = scene.kubectl(&[&list[..], &["--output=json"]].concat())?;
    let list: Value = serde_json::from_str(&list).context("a list of Events")?;
    let events = list["items"].as_array().context("Events")?;
    Ok(of(events, reason, began - QUIET))
}

fn of(events: &[Value], reason: &str, since: Timestamp) -> Vec<String> {
    let lately = |event: &&Value| {
        let at = event["eventTime"].as_str().map(str::parse::<Timestamp>);
        at.is_some_and(|at| at.is_ok_and(|at| at > since))
    };
    events
        .iter()
        .filter(|event| event["regarding"]["kind"] == "GlooNetwork" && event["reason"] == reason)
        .filter(lately)
        .filter_map(|event| event["note"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_of_other_reasons_things_and_days_are_not_what_was_said() {
        let event = |kind: &str, reason: &str, at: &str, note: &str| json!({"regarding": {"kind": kind}, "reason": reason, "eventTime": at, "note": note});
        let events = [
            event(
                "GlooNetwork",
                "Pruned",
                "2026-11-30T10:00:00.000001Z",
                "this",
            ),
            event(
                "GlooNetwork",
                "Pruned",
                "2026-11-30T09:00:00.000000Z",
                "before",
            ),
            event(
                "GlooNetwork",
                "Available",
                "2026-11-30T10:00:00.000001Z",
                "another reason",
            ),
            event(
                "Node",
                "Pruned",
                "2026-11-30T10:00:00.000001Z",
                "another thing",
            ),
            json!({"regarding": {"kind": "GlooNetwork"}, "reason": "Pruned", "eventTime": null}),
        ];
        let since = "2026-11-30T10:00:00Z".parse().unwrap();
        assert_eq!(of(&events, "Pruned", since), ["this"]);
    }
}

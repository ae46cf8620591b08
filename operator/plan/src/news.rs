//! What is worth an Event: the difference between two statuses.

use gloonet_api::{
    GlooNetworkStatus,
    status::{ComponentHealth, ComponentStatus},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// One Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// For a person to look at.
    pub warning: bool,
    /// In CamelCase.
    pub reason: &'static str,
    /// A sentence.
    pub note: String,
}

/// What happened between two statuses.
pub fn news(before: &GlooNetworkStatus, after: &GlooNetworkStatus) -> Vec<News> {
    let mut all: Vec<News> = after
        .components
        .iter()
        .filter_map(|row| component(before, row))
        .collect();
    all.extend(condition(before, after, "Available"));
    all.extend(complaint(before, after));
    all
}

fn component(before: &GlooNetworkStatus, row: &ComponentStatus) -> Option<News> {
    let last = before
        .components
        .iter()
        .find(|last| last.name == row.name)
        .map(|last| last.health);
    if last == Some(row.health) {
        return None;
    }
    let note = format!("{}: {}", row.name, row.message);
    match row.health {
        ComponentHealth::Healthy => Some(News {
            warning: false,
            reason: "ComponentHealthy",
            note,
        }),
        ComponentHealth::Degraded => Some(News {
            warning: true,
            reason: "ComponentDegraded",
            note,
        }),
        ComponentHealth::Progressing | ComponentHealth::Waiting | ComponentHealth::Unknown => None,
    }
}

fn condition(before: &GlooNetworkStatus, after: &GlooNetworkStatus, kind: &str) -> Option<News> {
    let now = find(after, kind)?;
    let was = find(before, kind).map(|last| last.status.as_str());
    match (was, now.status.as_str()) {
        (was, "True") if was != Some("True") => Some(News {
            warning: false,
            reason: "Available",
            note: now.message.clone(),
        }),
        (Some("True"), _) => (now.status != "True").then(|| News {
            warning: true,
            reason: "NotAvailable",
            note: now.message.clone(),
        }),
        _ => None,
    }
}

/// Refusals, unknown fields, fights, expired pauses: whatever makes the platform Degraded besides its components.
fn complaint(before: &GlooNetworkStatus, after: &GlooNetworkStatus) -> Option<News> {
    const COMPLAINTS: [&str; 4] = ["Refused", "UnknownField", "FightingManager", "PauseExpired"];
    let now = find(after, "Degraded").filter(|now| now.status == "True")?;
    let reason = COMPLAINTS
        .into_iter()
        .find(|reason| *reason == now.reason)?;
    let told = find(before, "Degraded")
        .is_some_and(|was| was.reason == now.reason && was.message == now.message);
    (!told).then(|| News {
        warning: true,
        reason,
        note: now.message.clone(),
    })
}

fn find<'a>(status: &'a GlooNetworkStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|one| one.type_ == kind)
}

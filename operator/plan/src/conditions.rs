//! The five conditions of a `GlooNetwork`.

use gloonet_api::status::{ComponentHealth, ComponentState, ComponentStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// A component must be broken for this long before the platform counts as not available.
pub const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// What the conditions are made from.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// Rows of the status, as they are written now.
    pub components: &'a [ComponentStatus],
    /// Sentences that need a person, besides those of the components: refusals, fights, an expired pause.
    pub complaints: Vec<Complaint>,
    /// Work is left that is not visible in a component's row.
    pub unfinished: Option<String>,
    /// The pause in force.
    pub paused: Option<String>,
    /// Names of components that were measured and stand, whatever their rows complain of.
    pub standing: Vec<&'a str>,
    /// Generation the conditions speak about.
    pub generation: Option<i64>,
}

/// One thing a person has to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// In CamelCase, for machines.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

struct Said {
    status: &'static str,
    reason: &'static str,
    message: String,
}

fn said(status: bool, reason: &'static str, message: impl Into<String>) -> Said {
    Said {
        status: if status { "True" } else { "False" },
        reason,
        message: message.into(),
    }
}

/// The conditions now. `lastTransitionTime` moves only when a status does.
pub fn conditions(previous: &[Condition], facts: &Facts<'_>, now: Timestamp) -> Vec<Condition> {
    let degraded = degraded(facts);
    let progressing = progressing(facts);
    let available = available(previous, facts, now);
    let upgradeable = upgradeable(&available, &progressing, &degraded, facts);
    let paused = match &facts.paused {
        Some(why) => said(true, "Requested", why.as_str()),
        None => said(false, "NotPaused", ""),
    };
    let named = [
        ("Available", available),
        ("Progressing", progressing),
        ("Degraded", degraded),
        ("Upgradeable", upgradeable),
        ("Paused", paused),
    ];
    named
        .into_iter()
        .map(|(kind, said)| condition(previous, kind, said, facts.generation, now))
        .collect()
}

fn condition(
    previous: &[Condition],
    kind: &str,
    said: Said,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let last = previous.iter().find(|condition| condition.type_ == kind);
    let moved = last.is_none_or(|last| last.status != said.status);
    Condition {
        type_: kind.to_owned(),
        status: said.status.to_owned(),
        reason: said.reason.to_owned(),
        message: said.message,
        observed_generation: generation,
        last_transition_time: match last {
            Some(last) if !moved => last.last_transition_time.clone(),
            _ => Time(now),
        },
    }
}

/// Stays True in a normal rollout: once reached, only a component that has been broken for [`GRACE`], with no pod left or
/// with pods that run and do not work, takes it away. What cannot be seen changes nothing, and neither does a change that fails
/// beside pods that go on.
fn available(previous: &[Condition], facts: &Facts<'_>, now: Timestamp) -> Said {
    let mut rows = facts
        .components
        .iter()
        .filter(|row| row.state != ComponentState::Removing);
    if facts.components.is_empty() {
        return said(
            false,
            "NothingInstalled",
            "no component has been installed yet",
        );
    }
    let Some(first) = rows
        .clone()
        .find(|row| row.health != ComponentHealth::Healthy)
    else {
        return said(true, "AllHealthy", "every component is healthy");
    };
    let before = previous
        .iter()
        .find(|condition| condition.type_ == "Available")
        .map(|last| last.status.as_str());
    if before != Some("True") {
        return match rows.find(|row| row.health == ComponentHealth::Degraded) {
            Some(row) => said(false, "ComponentDegraded", sentence(row)),
            None => said(false, "Installing", sentence(first)),
        };
    }
    match rows.find(|row| is_down(row, facts, now)) {
        Some(row) => said(false, "ComponentDown", sentence(row)),
        None => said(true, "Serving", sentence(first)),
    }
}

fn is_down(row: &ComponentStatus, facts: &Facts<'_>, now: Timestamp) -> bool {
    let long = row
        .since
        .as_ref()
        .is_some_and(|since| now.duration_since(since.0) >= GRACE);
    let works_partly = row.ready > 0 && row.ready < row.desired;
    let stands = facts.standing.contains(&row.name.as_str());
    row.health == ComponentHealth::Degraded && long && !works_partly && !stands
}

/// When a row that is broken now will count as down, if it stays so.
pub fn turns_down(row: &ComponentStatus, now: Timestamp) -> Option<Timestamp> {
    let broken = row.health == ComponentHealth::Degraded;
    let at = row
        .since
        .as_ref()
        .filter(|_| broken)
        .map(|since| since.0 + GRACE);
    at.filter(|at| *at > now)
}

fn progressing(facts: &Facts<'_>) -> Said {
    let moving = facts.components.iter().find(|row| {
        matches!(
            row.health,
            ComponentHealth::Progressing | ComponentHealth::Waiting
        ) || row.state == ComponentState::Removing
    });
    match (moving, &facts.unfinished) {
        (Some(row), _) => said(true, "Working", sentence(row)),
        (None, Some(what)) => said(true, "Working", what.as_str()),
        (None, None) => said(false, "Settled", ""),
    }
}

fn degraded(facts: &Facts<'_>) -> Said {
    if let Some(first) = facts.complaints.first() {
        let all: Vec<_> = facts
            .complaints
            .iter()
            .map(|complaint| complaint.message.as_str())
            .collect();
        return said(true, first.reason, all.join("; "));
    }
    let rows: Vec<_> = facts
        .components
        .iter()
        .filter(|row| row.health == ComponentHealth::Degraded)
        .map(sentence)
        .collect();
    if rows.is_empty() {
        said(false, "AsExpected", "")
    } else {
        said(true, "ComponentDegraded", rows.join("; "))
    }
}

fn upgradeable(available: &Said, progressing: &Said, degraded: &Said, facts: &Facts<'_>) -> Said {
    if facts.paused.is_some() {
        return said(false, "Paused", "end the pause first");
    }
    for (blocked, reason) in [
        (available.status != "True", "NotAvailable"),
        (degraded.status == "True", "Degraded"),
        (progressing.status == "True", "Progressing"),
    ] {
        if blocked {
            return said(false, reason, "wait until every component is healthy");
        }
    }
    said(true, "AsExpected", "")
}

fn sentence(row: &ComponentStatus) -> String {
    if row.message.is_empty() {
        return format!("{}: {}", row.name, row.health.as_str());
    }
    format!("{}: {}", row.name, row.message)
}

#[cfg(test)]
mod tests;

//! One component from its last status to its next: health, since when, and whether it still moves.

use gloonet_api::cilium::Rollout;
use gloonet_api::status::{ComponentHealth, ComponentState, ComponentStatus};
use gloonet_catalog::{ComponentId, Health, State};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What happened to a component in this reconcile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Objects written or deleted.
    pub changed: usize,
    /// Something was written, now or before, that the watches have not shown: what was measured may be of the time before.
    pub unseen: bool,
    /// Why a step failed, if one did.
    pub trouble: Option<Trouble>,
}

impl Outcome {
    /// True while health cannot be believed, because it was measured before a write or may have been.
    pub fn is_fresh(&self) -> bool {
        self.changed > 0 || self.unseen
    }
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It may work when tried again: the API server was away or busy.
    Passing(String),
    /// Somebody has to act: refused, invalid, or another owner.
    Lasting(String),
}

/// Everything the next status of a component depends on, besides the last.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Which.
    pub id: ComponentId,
    /// Version from the release lock.
    pub version: &'a str,
    /// See [`deadline`].
    pub deadline: SignedDuration,
    /// What the operator is asked to do with it.
    pub state: ComponentState,
    /// As measured.
    pub health: &'a Health,
    /// Why it could not be rendered.
    pub broken: Option<&'a str>,
    /// What it waits for before it may be installed or changed.
    pub waiting_for: &'a [ComponentId],
    /// What happened to it in this reconcile.
    pub outcome: &'a Outcome,
}

/// How long a component may stay without any progress before it counts as Degraded.
pub fn deadline(id: ComponentId, rollout: &Rollout) -> SignedDuration {
    match id {
        // Goes over the nodes one by one, each with an image pull, and with a soak in which nothing is to move.
        ComponentId::CiliumAgent => {
            SignedDuration::from_mins(10) + SignedDuration::from_secs(rollout.soak_seconds.into())
        }
        _ => SignedDuration::from_mins(5),
    }
}

/// The next status of a component.
///
/// Progress is a change: something was written, a pod became ready, the number of wanted pods changed, or it could not be
/// judged before. The deadline counts from the last progress, which is kept in the status and so survives a restart. Time in
/// which the cluster could not be read, or in which it waited for others, does not count.
pub fn advance(
    previous: Option<&ComponentStatus>,
    look: Look<'_>,
    now: Timestamp,
) -> ComponentStatus {
    let (mut health, mut message) = judge(&look);
    let moved = previous.is_none_or(|last| progressed(last, &look, health));
    let updated = match previous.and_then(|last| last.updated.as_ref()) {
        Some(at) if !moved => at.0,
        _ => now,
    };
    if health == ComponentHealth::Progressing && now.duration_since(updated) >= look.deadline {
        health = ComponentHealth::Degraded;
        message = format!(
            "no progress since {}: {message}",
            updated.strftime("%H:%M:%S UTC")
        );
    }
    let since = match previous {
        Some(last) if last.health == health => last.since.clone().map_or(now, |at| at.0),
        _ => now,
    };
    ComponentStatus {
        name: look.id.to_string(),
        version: look.version.to_owned(),
        state: look.state,
        health,
        message,
        since: Some(Time(since)),
        updated: Some(Time(updated)),
        ready: look.health.ready,
        desired: look.health.desired,
    }
}

/// The moment the deadline of a component that is on its way runs out.
pub fn runs_out(status: &ComponentStatus, deadline: SignedDuration) -> Option<Timestamp> {
    let moving = status.health == ComponentHealth::Progressing;
    status
        .updated
        .as_ref()
        .filter(|_| moving)
        .map(|updated| updated.0 + deadline)
}

/// True when the row says that the deadline has run out. One that is Degraded for another reason may still move.
pub fn is_late(status: &ComponentStatus, deadline: SignedDuration, now: Timestamp) -> bool {
    let broken = status.health == ComponentHealth::Degraded;
    let updated = status.updated.as_ref().filter(|_| broken);
    updated.is_some_and(|updated| now.duration_since(updated.0) >= deadline)
}

fn judge(look: &Look<'_>) -> (ComponentHealth, String) {
    if let Some(why) = look.broken {
        return (ComponentHealth::Degraded, why.to_owned());
    }
    match &look.outcome.trouble {
        Some(Trouble::Lasting(why)) => return (ComponentHealth::Degraded, why.clone()),
        Some(Trouble::Passing(why)) if look.health.state != State::Degraded => {
            return (ComponentHealth::Unknown, why.clone());
        }
        _ => {}
    }
    if !look.waiting_for.is_empty() {
        let needs: Vec<_> = look.waiting_for.iter().map(|id| id.as_str()).collect();
        let what = match look.health.state {
            State::Healthy => "a change waits",
            State::Progressing | State::Unknown | State::Degraded => "waits",
        };
        // Whatever it is, it is not Progressing: it has no deadline before it may move.
        let message = format!("{what} for {}", needs.join(", "));
        return (ComponentHealth::Waiting, message);
    }
    let health = match look.health.state {
        State::Healthy if look.outcome.is_fresh() => {
            let message = "a change was written, and what comes of it is not seen yet";
            return (ComponentHealth::Progressing, message.to_owned());
        }
        State::Healthy => ComponentHealth::Healthy,
        State::Progressing => ComponentHealth::Progressing,
        State::Degraded => ComponentHealth::Degraded,
        State::Unknown => ComponentHealth::Unknown,
    };
    (health, look.health.message.clone())
}

fn progressed(last: &ComponentStatus, look: &Look<'_>, health: ComponentHealth) -> bool {
    let unjudged = matches!(
        last.health,
        ComponentHealth::Unknown | ComponentHealth::Waiting
    ) && last.health != health;
    let arrived = health == ComponentHealth::Healthy && last.health != ComponentHealth::Healthy;
    let left = last.health == ComponentHealth::Healthy && health != ComponentHealth::Healthy;
    let counts = look.health.ready > last.ready || look.health.desired != last.desired;
    look.outcome.changed > 0 || unjudged || arrived || left || counts
}

#[cfg(test)]
mod tests;

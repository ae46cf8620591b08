//! The whole status, from everything that was learned in one reconcile.

mod leaving;
mod rows;

use std::collections::BTreeMap;

use gloonet_api::{
    GlooNetworkStatus,
    status::{
        ComponentHealth, ComponentStatus, HistoryEntry, HistoryState, ImageStatus,
        InventoryReference, LastReconcile, PlanStatus,
    },
};
use gloonet_catalog::{ComponentId, Input, Refusal};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub use leaving::{began, leaving, stays};

use crate::{
    Desired, Inventory, Plan,
    conditions::{self, Complaint, Facts},
    progress::{self, Outcome, Trouble},
    step,
};

/// Steps listed in status; the rest is counted.
const LISTED_STEPS: usize = 20;
/// Releases kept in history.
const HISTORY: usize = 10;

/// Everything one reconcile learned.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// Status as it is stored.
    pub previous: &'a GlooNetworkStatus,
    /// Generation of the specification.
    pub generation: Option<i64>,
    /// The accepted input, of this generation or of the last good one.
    pub input: Option<&'a Input>,
    /// What is wrong with this generation.
    pub refusals: &'a [Refusal],
    /// Fields that were sent and are not known.
    pub unknown_fields: &'a [String],
    /// What shall be.
    pub desired: &'a Desired,
    /// What was to be done.
    pub plan: &'a Plan,
    /// What came of it, per component.
    pub outcomes: &'a BTreeMap<ComponentId, Outcome>,
    /// Something failed that is tried again, or the plan was not run at all.
    pub retry: bool,
    /// Sentences about objects others keep changing back.
    pub fights: Vec<String>,
    /// What the operator made.
    pub inventory: &'a Inventory,
    /// Namespace and name of the inventory.
    pub inventory_name: (&'a str, &'a str),
    /// Version of each component from the release lock.
    pub versions: &'a BTreeMap<ComponentId, String>,
    /// A sentence when a pause is in force.
    pub paused: Option<String>,
    /// A sentence when a pause has run out and is still written down.
    pub expired_pause: Option<String>,
    /// What set the reconcile off.
    pub trigger: &'a str,
    /// How long it took so far, in milliseconds.
    pub millis: u64,
    /// Now, in whole seconds.
    pub now: Timestamp,
}

/// What is said, and when to look again.
#[derive(Clone, Debug)]
pub struct Report {
    /// The status to store.
    pub status: GlooNetworkStatus,
    /// The next moment at which the status would change by time alone.
    pub wake: Option<Timestamp>,
}

/// Builds the status. Equal to the stored one when nothing happened, so that nothing has to be written.
pub fn status(situation: &Situation<'_>) -> Report {
    let previous = situation.previous;
    let components = rows::components(situation);
    let unfinished = unfinished(situation);
    let facts = Facts {
        components: &components,
        complaints: complaints(situation),
        unfinished: unfinished.clone(),
        paused: situation.paused.clone(),
        standing: standing(situation.desired),
        generation: situation.generation,
    };
    let conditions = conditions::conditions(&previous.conditions, &facts, situation.now);
    let settled = unfinished.is_none()
        && !components.is_empty()
        && components
            .iter()
            .all(|row| row.health == ComponentHealth::Healthy);
    let wake = wake(&components, situation.desired, situation.now);
    let version = situation
        .input
        .map(Input::version)
        .filter(|_| settled && situation.refusals.is_empty());
    let status = GlooNetworkStatus {
        observed_generation: situation.generation,
        version: version
            .map(str::to_owned)
            .or_else(|| previous.version.clone()),
        message: headline(&conditions, components.len()),
        history: history(situation, settled),
        images: images(situation),
        computed: situation
            .input
            .and_then(|input| serde_json::to_value(&input.spec).ok())
            .or_else(|| previous.computed.clone()),
        plan: plan_status(situation),
        inventory: Some(inventory(situation)),
        last_reconcile: last_reconcile(situation),
        conditions,
        components,
    };
    Report { status, wake }
}

/// The next moment at which a deadline or a grace runs out.
fn wake(components: &[ComponentStatus], desired: &Desired, now: Timestamp) -> Option<Timestamp> {
    let moments = components.iter().flat_map(|row| {
        let id = row.name.parse().ok();
        let deadline = id.and_then(|id| desired.get(id)).map(|one| one.deadline);
        [
            deadline.and_then(|deadline| progress::runs_out(row, deadline)),
            conditions::turns_down(row, now),
        ]
    });
    moments.flatten().filter(|at| *at > now).min()
}

fn inventory(situation: &Situation<'_>) -> InventoryReference {
    InventoryReference {
        namespace: situation.inventory_name.0.to_owned(),
        name: situation.inventory_name.1.to_owned(),
        objects: situation.inventory.entries.len(),
    }
}

/// Unchanged unless something was written: a reconcile that does nothing leaves no trace.
fn last_reconcile(situation: &Situation<'_>) -> Option<LastReconcile> {
    match situation
        .outcomes
        .values()
        .map(|outcome| outcome.changed)
        .sum()
    {
        0 => situation.previous.last_reconcile.clone(),
        changed => Some(LastReconcile {
            trigger: situation.trigger.to_owned(),
            changed,
            duration_millis: situation.millis,
        }),
    }
}

/// What is left to do and no row says: a step that is tried again is Unknown there, and a plan that was not run is nowhere. What
/// failed for good is Degraded.
fn unfinished(situation: &Situation<'_>) -> Option<String> {
    let mut failed = situation
        .outcomes
        .iter()
        .filter_map(|(id, outcome)| Some((id, outcome.trouble.as_ref()?)))
        .peekable();
    if failed.peek().is_none() {
        let unsaid = "the plan could not be run in full; see the operator's log";
        return situation.retry.then(|| unsaid.to_owned());
    }
    failed.find_map(|(id, trouble)| match trouble {
        Trouble::Passing(why) => Some(format!("{id}: {why}")),
        Trouble::Lasting(_) => None,
    })
}

fn standing(desired: &Desired) -> Vec<&str> {
    let stand = desired.components.iter().filter(|one| one.health.stands);
    stand.map(|one| one.id.as_str()).collect()
}

fn complaints(situation: &Situation<'_>) -> Vec<Complaint> {
    let refused = situation.refusals.iter().map(|refusal| Complaint {
        reason: "Refused",
        message: refusal.to_string(),
    });
    let unknown = situation.unknown_fields.iter().map(|path| Complaint {
        reason: "UnknownField",
        message: format!(
            "{path} is no field of this release and has no effect; correct or remove it"
        ),
    });
    let fights = situation.fights.iter().map(|message| Complaint {
        reason: "FightingManager",
        message: message.clone(),
    });
    let pause = situation.expired_pause.iter().map(|message| Complaint {
        reason: "PauseExpired",
        message: message.clone(),
    });
    refused.chain(unknown).chain(fights).chain(pause).collect()
}

/// The first of: what is wrong, what is going on, that all is well.
fn headline(
    conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition],
    components: usize,
) -> String {
    for kind in ["Degraded", "Progressing"] {
        if let Some(found) = conditions
            .iter()
            .find(|one| one.type_ == kind && one.status == "True")
        {
            return found.message.clone();
        }
    }
    match conditions.iter().find(|one| one.type_ == "Available") {
        Some(one) if one.status == "True" && one.reason == "AllHealthy" => {
            format!("all {components} components are healthy")
        }
        Some(one) => one.message.clone(),
        None => String::new(),
    }
}

fn plan_status(situation: &Situation<'_>) -> Option<PlanStatus> {
    let waiting = situation.plan.waiting.iter().map(|(id, needs)| {
        let needs: Vec<_> = needs.iter().map(|need| need.as_str()).collect();
        format!("{id} when {} is healthy", needs.join(", "))
    });
    let held = situation
        .plan
        .held
        .iter()
        .map(|id| format!("change {id} when its rollout has settled"));
    let mut steps: Vec<String> = waiting.chain(held).collect();
    if steps.is_empty() {
        return None;
    }
    let more = steps.len().saturating_sub(LISTED_STEPS);
    steps.truncate(LISTED_STEPS);
    Some(PlanStatus {
        hash: step::hash_lines(&steps),
        steps,
        more,
    })
}

fn history(situation: &Situation<'_>, settled: bool) -> Vec<HistoryEntry> {
    let mut history = situation.previous.history.clone();
    let Some(input) = situation.input else {
        return history;
    };
    if history
        .first()
        .is_none_or(|entry| entry.version != input.version())
    {
        history.insert(
            0,
            HistoryEntry {
                version: input.version().to_owned(),
                state: HistoryState::Partial,
                started: Time(situation.now),
                completed: None,
            },
        );
        history.truncate(HISTORY);
    }
    if let Some(entry) = history
        .first_mut()
        .filter(|entry| settled && entry.state == HistoryState::Partial)
    {
        entry.state = HistoryState::Completed;
        entry.completed = Some(Time(situation.now));
    }
    history
}

fn images(situation: &Situation<'_>) -> Vec<ImageStatus> {
    let Some(input) = situation.input else {
        return situation.previous.images.clone();
    };
    input
        .images
        .all()
        .map(|(name, reference)| ImageStatus {
            name: name.to_string(),
            reference: reference.to_owned(),
        })
        .collect()
}

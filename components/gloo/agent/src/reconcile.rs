//! Read, decide, write: makes the cluster what is desired, within the plan's limits.

mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use gloo_relay::{
    budget::MassRemoval,
    client::{Local, State, Status},
    key::ObjectKey,
    proto::{Held, ObjectError, Results},
    table::Objects,
};
use kube::Client;
use tokio::{
    sync::{Mutex, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    control::Control,
    observed::{Observed, Policies},
    plan::{Plan, World, Write, Written, plan},
};
use write::{Done, perform};

/// The budget of removals is full again after so long.
const BUDGET: Duration = Duration::from_hours(1);
/// Writes under way at once.
const WRITES: usize = 8;
/// Changes of policies come in groups; one look is for all of them.
const SETTLE: Duration = Duration::from_millis(300);
/// When what failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// What the last turn led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub desired: usize,
    pub errors: usize,
    /// Removals held back, and the digest that confirms them.
    pub held: Option<(usize, String)>,
    pub kill_switch: bool,
    pub writes: u64,
}

#[derive(Debug, Default)]
struct Memory {
    desired: Option<Objects>,
    written: BTreeMap<ObjectKey, Written>,
    before: BTreeSet<ObjectKey>,
    since: Option<Instant>,
    /// Removals decided, as the cluster had the objects then. They wait for the server's answer to `turn`.
    pending: Vec<Write>,
    /// They were confirmed.
    confirmed: bool,
    turn: u64,
}

impl Memory {
    /// What is not desired any more counts as not written: who desires it again may mean a new object of the same name.
    fn desire(&mut self, objects: Objects) {
        self.written.retain(|key, _| objects.contains_key(key));
        self.desired = Some(objects);
    }
}

/// The only writer of desired objects.
pub struct Reconciler {
    client: Client,
    cluster: String,
    observed: Arc<Observed>,
    control: watch::Receiver<Option<Control>>,
    results: watch::Sender<Results>,
    report: watch::Sender<Report>,
    memory: Mutex<Memory>,
    /// What is desired came on the stream there is now.
    fresh: AtomicBool,
    /// Decisions up to this turn were made on an earlier stream.
    voided: AtomicU64,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reconciler")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl Local for Reconciler {
    async fn desired(&self, objects: Objects) {
        let mut memory = self.memory.lock().await;
        memory.desire(objects);
        self.fresh.store(true, Ordering::Relaxed);
        self.turn(&mut memory).await;
    }

    fn opened(&self) {
        self.fresh.store(false, Ordering::Relaxed);
        self.voided
            .store(self.results.borrow().turn, Ordering::Relaxed);
    }

    async fn settled(&self, turn: u64) {
        let mut memory = self.memory.lock().await;
        let void = turn <= self.voided.load(Ordering::Relaxed) || turn < memory.turn;
        if !void && self.fresh.load(Ordering::Relaxed) {
            self.remove(&mut memory).await;
        }
    }
}

impl Reconciler {
    pub fn new(
        client: Client,
        cluster: &str,
        observed: Arc<Observed>,
        control: watch::Receiver<Option<Control>>,
    ) -> Self {
        Self {
            client,
            cluster: cluster.to_owned(),
            observed,
            control,
            results: watch::Sender::new(Results::default()),
            report: watch::Sender::new(Report::default()),
            memory: Mutex::default(),
            fresh: AtomicBool::new(false),
            voided: AtomicU64::new(0),
        }
    }

    /// What became of the desired objects, for the server.
    pub fn results(&self) -> watch::Receiver<Results> {
        self.results.subscribe()
    }

    pub fn report(&self) -> watch::Receiver<Report> {
        self.report.subscribe()
    }

    /// Repairs what others change, obeys the switch, tries again what failed. Whoever is fenced or refused writes nothing.
    pub async fn watch(&self, mut status: watch::Receiver<Status>, closing: CancellationToken) {
        let mut policies = self.observed.policies_changed();
        let mut control = self.control.clone();
        while !closing.is_cancelled() {
            let state = status.borrow_and_update().state;
            let may = !matches!(state, State::Fenced | State::Refused);
            if state != State::Connected {
                self.fresh.store(false, Ordering::Relaxed);
            }
            let turn = async {
                if may {
                    let mut memory = self.memory.lock().await;
                    self.turn(&mut memory).await;
                }
                let wait = if self.report.borrow().errors > 0 {
                    AGAIN
                } else {
                    4 * AGAIN
                };
                tokio::select! {
                    Ok(()) = policies.changed() => sleep(SETTLE).await,
                    Ok(()) = control.changed() => {}
                    () = sleep(wait) => {}
                }
            };
            tokio::select! {
                () = closing.cancelled() => return,
                () = turn => {}
                // A turn that may not go on is dropped where it is.
                () = left(&mut status, state) => {}
            }
        }
    }

    async fn turn(&self, memory: &mut Memory) {
        // Before the first list nothing is known of what the cluster has.
        if self.observed.source().borrow().is_none() {
            return;
        }
        let Policies { found, local, uids } = self.observed.policies();
        let control = self.control.borrow().clone();
        refill(memory, found.keys());
        let mut plan = plan(
            &World {
                cluster: &self.cluster,
                desired: memory.desired.as_ref(),
                found: &found,
                uids: &uids,
                local: &local,
                written: &memory.written,
                before: &memory.before,
                control: control.as_ref(),
                live: self.fresh.load(Ordering::Relaxed),
            },
            MassRemoval::default(),
        );
        let deletes = |write: &mut Write| matches!(write, Write::Delete { .. });
        memory.pending = plan.writes.extract_if(.., deletes).collect();
        memory.confirmed = plan.confirmed;
        if !memory.pending.is_empty() {
            memory.turn += 1;
        }
        let (writes, errors) = self.write(memory, &plan.writes).await;
        plan.errors.extend(errors);
        let kill_switch = control.is_some_and(|control| control.kill_switch);
        self.tell(memory, &plan, kill_switch, writes);
    }

    /// Removes what was decided and is still not desired. The API server refuses what somebody wrote to since.
    async fn remove(&self, memory: &mut Memory) {
        let mut pending = std::mem::take(&mut memory.pending);
        let Memory { desired, .. } = memory;
        pending.retain(|write| {
            let Write::Delete { key, .. } = write else {
                return false;
            };
            desired.as_ref().is_some_and(|all| !all.contains_key(key))
        });
        let off = |control: &Control| !control.kill_switch;
        if !self.control.borrow().as_ref().is_some_and(off) {
            return;
        }
        let (writes, errors) = self.write(memory, &pending).await;
        if !pending.is_empty() && memory.confirmed {
            // A confirmed removal is none of the next budget's business. The digest of an earlier one, which still stands in the
            // ConfigMap, makes none of this.
            memory.since = None;
        }
        self.report.send_modify(|report| {
            report.writes += writes;
            report.errors += errors.len();
        });
    }

    async fn write(
        &self,
        memory: &mut Memory,
        writes: &[Write],
    ) -> (u64, BTreeMap<ObjectKey, String>) {
        let mut errors = BTreeMap::new();
        let mut done = futures::stream::iter(writes.to_vec())
            .map(|write| {
                let client = self.client.clone();
                async move {
                    let result = perform(&client, &write).await;
                    (write, result)
                }
            })
            .buffer_unordered(WRITES);
        let mut writes = 0;
        while let Some((write, result)) = done.next().await {
            match (&write, result) {
                (
                    Write::Apply { key, .. } | Write::Status { key, .. },
                    Ok(Done::Written(found)),
                ) => {
                    writes += 1;
                    let desired = memory.desired.as_ref().and_then(|all| all.get(key));
                    let written = desired.map(|desired| Written {
                        desired: desired.clone(),
                        found,
                    });
                    memory
                        .written
                        .extend(written.map(|written| (key.clone(), written)));
                }
                (Write::Delete { key, .. }, Ok(_)) => {
                    writes += 1;
                    memory.written.remove(key);
                }
                (_, Ok(_)) => {}
                (_, Err(error)) => {
                    let (Write::Apply { key, .. }
                    | Write::Status { key, .. }
                    | Write::Delete { key, .. }) = &write;
                    tracing::warn!(object = %key, reason = error, "a desired object is not as it should be");
                    errors.insert(key.clone(), error);
                }
            }
        }
        (writes, errors)
    }

    fn tell(&self, memory: &Memory, plan: &Plan, kill_switch: bool, writes: u64) {
        let held = plan
            .held
            .map(|(removed, digest)| (removed, digest.to_string()));
        self.report.send_modify(|report| {
            if report.held != held
                && let Some((removed, digest)) = &held
            {
                tracing::error!(
                    removed,
                    digest,
                    "the server wants more removed than may be at once; put the digest into confirmRemoval of gloo-mesh-agent-control to let it"
                );
            }
            *report = Report {
                desired: memory.desired.as_ref().map_or(0, Objects::len),
                errors: plan.errors.len(),
                held: held.clone(),
                kill_switch,
                writes: report.writes + writes,
            };
        });
        let now = Results {
            errors: said(&plan.errors, false)
                .chain(said(&plan.remarks, true))
                .collect(),
            held: held.map(|(removed, digest)| Held {
                removals: u32::try_from(removed).unwrap_or(u32::MAX),
                digest,
            }),
            kill_switch,
            turn: memory.turn,
        };
        self.results.send_if_modified(|results| {
            let changed = *results != now;
            *results = now;
            changed
        });
    }
}

fn said(
    messages: &BTreeMap<ObjectKey, String>,
    applied: bool,
) -> impl Iterator<Item = ObjectError> {
    messages.iter().map(move |(key, message)| ObjectError {
        key: Some(key.into()),
        message: message.clone(),
        applied,
    })
}

/// The set removals are counted against: all of ours in the last hour.
fn refill<'a>(memory: &mut Memory, found: impl Iterator<Item = &'a ObjectKey>) {
    if memory.since.is_none_or(|since| since.elapsed() > BUDGET) {
        memory.before.clear();
        memory.since = Some(Instant::now());
    }
    memory.before.extend(found.cloned());
}

/// Waits until the state is another one.
async fn left(status: &mut watch::Receiver<Status>, state: State) {
    if status
        .wait_for(|status| status.state != state)
        .await
        .is_err()
    {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;

//! What is known between one look at the cluster and the next, and what may happen when. Pure: the clock comes in as an argument,
//! and so does what a write led to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use gloo_relay::{
    budget::MassRemoval,
    client::State,
    key::ObjectKey,
    proto::{Held, ObjectError, Results},
    session::Moment,
    table::Objects,
};

use crate::{
    control::Control,
    observed::Policies,
    plan::{Found, Plan, World, Write, Written, plan},
};

/// The budget of removals is full again after so long.
const BUDGET: Duration = Duration::from_hours(1);

/// What a write led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    /// The object after it.
    Written(Found),
    /// There was nothing to write to, or somebody else was there first. The watch will tell.
    Overtaken,
}

/// Whether an agent in this state writes. Who is fenced or refused does not.
pub fn may_write(state: State) -> bool {
    !matches!(state, State::Fenced | State::Refused)
}

/// What came on the stream there is now. Apart from the memory: a stream opens while a look at the cluster is under way.
#[derive(Debug, Default)]
pub struct Stream {
    /// What is desired came on it.
    fresh: AtomicBool,
    /// Decisions up to this turn were made on an earlier one.
    voided: AtomicU64,
}

impl Stream {
    /// A stream was opened; the last turn the server was told is `turn`.
    pub fn opened(&self, turn: u64) {
        self.left();
        self.voided.store(turn, Ordering::Relaxed);
    }

    /// The server said on it what is desired.
    pub fn heard(&self) {
        self.fresh.store(true, Ordering::Relaxed);
    }

    /// There is none any more.
    pub fn left(&self) {
        self.fresh.store(false, Ordering::Relaxed);
    }

    fn fresh(&self) -> bool {
        self.fresh.load(Ordering::Relaxed)
    }

    fn voids(&self, turn: u64) -> bool {
        turn <= self.voided.load(Ordering::Relaxed)
    }
}

/// What a look at the cluster found.
#[derive(Debug)]
pub struct Seen<'a> {
    pub cluster: &'a str,
    pub policies: &'a Policies,
    pub control: Option<&'a Control>,
    pub stream: &'a Stream,
}

/// The reconciler's.
#[derive(Debug, Default)]
pub struct Memory {
    desired: Option<Objects>,
    written: BTreeMap<ObjectKey, Written>,
    before: BTreeSet<ObjectKey>,
    since: Option<Moment>,
    /// Removals decided, as the cluster had the objects then. They wait for the server's answer to `turn`.
    pending: Vec<Write>,
    /// They were confirmed.
    confirmed: bool,
    turn: u64,
}

impl Memory {
    pub fn desired(&self) -> Option<&Objects> {
        self.desired.as_ref()
    }

    /// What is not desired any more counts as not written: who desires it again may mean a new object of the same name.
    pub fn desire(&mut self, objects: Objects) {
        self.written.retain(|key, _| objects.contains_key(key));
        self.desired = Some(objects);
    }

    /// Decides what is to be written at once. Removals wait for [`Memory::settled`].
    pub fn turn(&mut self, seen: &Seen<'_>, now: Moment) -> Plan {
        let Policies { found, local, uids } = seen.policies;
        self.refill(found.keys(), now);
        let mut plan = plan(
            &World {
                cluster: seen.cluster,
                desired: self.desired.as_ref(),
                found,
                uids,
                local,
                written: &self.written,
                before: &self.before,
                control: seen.control,
                live: seen.stream.fresh(),
            },
            MassRemoval::default(),
        );
        let deletes = |write: &mut Write| matches!(write, Write::Delete { .. });
        self.pending = plan.writes.extract_if(.., deletes).collect();
        self.confirmed = plan.confirmed;
        if !self.pending.is_empty() {
            self.turn += 1;
        }
        plan
    }

    /// The set removals are counted against: all of ours in the last hour.
    fn refill<'a>(&mut self, found: impl Iterator<Item = &'a ObjectKey>, now: Moment) {
        let old = |since| now.saturating_sub(since) > BUDGET;
        if self.since.is_none_or(old) {
            self.before.clear();
            self.since = Some(now);
        }
        self.before.extend(found.cloned());
    }

    /// The server answered `turn`: what was decided then and is still not desired may be removed.
    pub fn settled(&mut self, turn: u64, stream: &Stream, control: Option<&Control>) -> Vec<Write> {
        if stream.voids(turn) || turn < self.turn || !stream.fresh() {
            return Vec::new();
        }
        let mut pending = std::mem::take(&mut self.pending);
        if control.is_none_or(|control| control.kill_switch) {
            return Vec::new();
        }
        let Some(desired) = &self.desired else {
            return Vec::new();
        };
        pending.retain(|write| !desired.contains_key(write.key()));
        pending
    }

    /// All that was settled was removed, or refused by the cluster.
    pub fn removed(&mut self) {
        if self.confirmed {
            // A confirmed removal is none of the next budget's business. The digest of an earlier one, which still stands in the
            // ConfigMap, makes none of this.
            self.since = None;
        }
    }

    /// Takes what a write led to. `true`: it changed the cluster.
    pub fn done(&mut self, write: &Write, done: Done) -> bool {
        match (write, done) {
            (Write::Apply { key, .. } | Write::Status { key, .. }, Done::Written(found)) => {
                let desired = self.desired.as_ref().and_then(|all| all.get(key));
                if let Some(desired) = desired.cloned() {
                    self.written.insert(key.clone(), Written { desired, found });
                }
                true
            }
            (Write::Delete { key, .. }, _) => {
                self.written.remove(key);
                true
            }
            (_, Done::Overtaken) => false,
        }
    }

    /// What became of the desired objects, for the server.
    pub fn results(&self, plan: &Plan, control: Option<&Control>) -> Results {
        let errors = said(&plan.errors, false).chain(said(&plan.remarks, true));
        Results {
            errors: errors.collect(),
            held: plan.held.map(|(removed, digest)| Held {
                removals: u32::try_from(removed).unwrap_or(u32::MAX),
                digest: digest.to_string(),
            }),
            kill_switch: control.is_some_and(|control| control.kill_switch),
            turn: self.turn,
        }
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

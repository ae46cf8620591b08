//! From the resolver to the datapath, in the order the resolver asks for ([`Changes`]): what a new prefix allows is in every
//! map before the datapath knows the prefix, and leaves the maps after the datapath forgot it. So no packet meets a
//! half-written policy, only the old one or the new one.

use std::collections::BTreeSet;

use cilium_policy::{Changes, Key, SubjectChanges, SubjectId};
use datapath::{PolicyEntry, PolicyKey};

use super::entries::{closed, entries, entry, key};
use super::{Enforcement, Pass, Policies, State};

/// One step for one policy.
#[derive(Default)]
struct Step {
    upserts: Vec<(PolicyKey, PolicyEntry)>,
    removes: Vec<PolicyKey>,
}

/// What a pass has done to the datapath so far.
struct Progress<'a> {
    pass: &'a mut Pass,
    touched: bool,
}

impl Policies {
    pub(super) fn write(&self, state: &mut State) -> Pass {
        let mut changes = state.repository.commit();
        let mut pass = Pass {
            changed: changes.subjects.len(),
            failures: Vec::new(),
        };
        state
            .refused
            .retain(|id, _| !changes.subjects.contains_key(id));
        state.refused.append(&mut changes.refused);
        if !changes.prefixes_added.is_empty() || !changes.prefixes_removed.is_empty() {
            self.remember(state, &mut pass);
        }
        let mut progress = Progress {
            pass: &mut pass,
            touched: false,
        };
        self.follow(state, &changes, &mut progress);
        if progress.touched
            && let Err(error) = self.datapath.new_epoch()
        {
            pass.failures.push(cilium_cni::error::chain(&error));
        }
        if pass.failures.is_empty() {
            state.revision = state.before + state.repository.revision();
        }
        pass
    }

    fn follow(&self, state: &mut State, changes: &Changes, progress: &mut Progress<'_>) {
        let added: BTreeSet<u32> = changes.prefixes_added.values().copied().collect();
        let removed: BTreeSet<u32> = changes.prefixes_removed.values().copied().collect();
        let speaks_of =
            |key: &Key, numbers: &BTreeSet<u32>| key.block().is_some_and(|n| numbers.contains(&n));
        note_enforcement(state, changes);
        self.step(state, changes, progress, |change| Step {
            upserts: upserts(change, |key| speaks_of(key, &added)),
            removes: Vec::new(),
        });
        self.write_wholes(state, progress);
        let wanted = state.blocks.wanted(state.repository.prefixes());
        progress.touched |= state
            .blocks
            .add(&*self.datapath, &wanted, &mut progress.pass.failures);
        self.step(state, changes, progress, |change| Step {
            upserts: upserts(change, |key| !speaks_of(key, &added)),
            removes: removes(change, |key| !speaks_of(key, &removed)),
        });
        progress.touched |=
            state
                .blocks
                .drop_others(&*self.datapath, &wanted, &mut progress.pass.failures);
        self.step(state, changes, progress, |change| Step {
            upserts: Vec::new(),
            removes: removes(change, |key| speaks_of(key, &removed)),
        });
    }

    /// Numbers of prefixes are in maps and must mean the same after a restart.
    fn remember(&self, state: &State, pass: &mut Pass) {
        if let Err(error) = self.store.write_prefixes(state.repository.prefixes()) {
            pass.failures.push(cilium_cni::error::chain(&error));
        }
    }

    /// A policy that cannot be changed is written as a whole by the next pass.
    fn step(
        &self,
        state: &mut State,
        changes: &Changes,
        progress: &mut Progress<'_>,
        of: impl Fn(&SubjectChanges) -> Step,
    ) {
        for (id, change) in &changes.subjects {
            let Some(program) = state.programs.get_mut(&id.0) else {
                continue;
            };
            let step = of(change);
            if !program.written || step.upserts.is_empty() && step.removes.is_empty() {
                continue;
            }
            progress.touched = true;
            let written = self
                .datapath
                .update_policy(id.0, &step.upserts, &step.removes);
            program.written = progress.note(written);
        }
    }

    /// Policies that are new, or that could not be changed before.
    fn write_wholes(&self, state: &mut State, progress: &mut Progress<'_>) {
        let unwritten = state
            .programs
            .iter_mut()
            .filter(|(_, program)| !program.written);
        for (number, program) in unwritten {
            let wanted = match state.repository.state(SubjectId(*number)) {
                Some(state) => entries(state),
                // One that does not fit at first has no old state to stay with: nothing passes until it does.
                None => closed(),
            };
            progress.touched = true;
            let written = self.datapath.set_policy(*number, &wanted);
            program.written = progress.note(written);
        }
    }
}

impl Progress<'_> {
    fn note(&mut self, written: Result<(), datapath::Error>) -> bool {
        if let Err(error) = &written {
            self.pass.failures.push(cilium_cni::error::chain(error));
        }
        written.is_ok()
    }
}

fn note_enforcement(state: &mut State, changes: &Changes) {
    for (id, change) in &changes.subjects {
        if let Some(program) = state.programs.get_mut(&id.0) {
            program.enforcement = Enforcement {
                ingress: change.ingress_enforced,
                egress: change.egress_enforced,
            };
        }
    }
}

fn upserts(change: &SubjectChanges, when: impl Fn(&Key) -> bool) -> Vec<(PolicyKey, PolicyEntry)> {
    let chosen = change.upserts.iter().filter(|(key, _)| when(key));
    chosen.map(entry).collect()
}

fn removes(change: &SubjectChanges, when: impl Fn(&Key) -> bool) -> Vec<PolicyKey> {
    let chosen = change.removes.iter().filter(|key| when(key));
    chosen.map(key).collect()
}

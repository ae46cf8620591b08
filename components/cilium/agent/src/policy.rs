//! The cluster's policies, resolved for the pods of this node and kept in the datapath.
//!
//! Pods with the same identity and the same named ports share one policy, which has a number.

mod blocks;
pub mod entries;
mod feed;
mod memory;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cilium_api::policy::Unplaced;
use cilium_policy::{Cookie, Options, PolicyRef, Refused, Repository, Subject, SubjectId};
use datapath::Datapath;

use self::blocks::Blocks;
pub use self::feed::Changes;
use self::feed::Feed;
use crate::endpoint::Endpoint;
use crate::kubernetes::Watched;
use crate::store::Store;

/// A pod that is being started holds its policy's number before anybody can see that it does; and a pod that is replaced
/// comes back with the same one.
const IDLE: Duration = Duration::from_mins(1);

/// Which directions of a pod are isolated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enforcement {
    pub ingress: bool,
    pub egress: bool,
}

impl Enforcement {
    /// Cilium's word for it.
    pub fn word(self) -> &'static str {
        match (self.ingress, self.egress) {
            (false, false) => "none",
            (true, false) => "ingress",
            (false, true) => "egress",
            (true, true) => "both",
        }
    }
}

/// One policy of the datapath.
#[derive(Debug, Default)]
struct Program {
    enforcement: Enforcement,
    /// The datapath has what the resolver says; otherwise the next pass writes it as a whole.
    written: bool,
}

#[derive(Debug)]
struct State {
    repository: Repository,
    runs_api_server: bool,
    feed: Feed,
    blocks: Blocks,
    numbers: BTreeMap<Subject, u32>,
    programs: BTreeMap<u32, Program>,
    refused: BTreeMap<SubjectId, Refused>,
    last: u32,
    /// Policies without a pod, and since when.
    idle: BTreeMap<u32, Instant>,
    fed: bool,
    /// Changes told to resolvers before this one.
    before: u64,
    /// Changes told to all resolvers, when the datapath last had all of them.
    revision: u64,
}

/// What a pass needs to know besides what is watched.
#[derive(Debug, Default)]
pub struct Surroundings<'a> {
    /// The pods of this node.
    pub local: &'a [Endpoint],
    /// Each node's address among its pods, with the address its policies know it by.
    pub routers: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// Whether an API server runs on this node: then it is this host.
    pub runs_api_server: bool,
}

/// What one pass did.
#[derive(Debug, Default)]
pub struct Pass {
    /// Policies of the datapath that changed.
    pub changed: usize,
    /// Sentences about what could not be written; it is tried again.
    pub failures: Vec<String>,
}

/// See the module.
pub struct Policies {
    max_entries: usize,
    state: Mutex<State>,
    datapath: Arc<dyn Datapath>,
    store: Store,
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policies").finish_non_exhaustive()
    }
}

impl Policies {
    /// Numbers begin after those an earlier process left in the datapath, which pods still use.
    pub fn new(
        datapath: Arc<dyn Datapath>,
        store: Store,
        max_entries: usize,
    ) -> Result<Self, datapath::Error> {
        let last = datapath.policies()?.into_iter().max().unwrap_or_default();
        let blocks = Blocks::read(&*datapath)?;
        let options = Options {
            max_entries,
            numbers: blocks.numbers(&store),
            ..Options::default()
        };
        let mut repository = Repository::new(options);
        let feed = Feed::remembering(&store, &mut repository);
        Ok(Self {
            max_entries,
            state: Mutex::new(State {
                repository,
                runs_api_server: false,
                feed,
                blocks,
                numbers: BTreeMap::new(),
                programs: BTreeMap::new(),
                refused: BTreeMap::new(),
                last,
                idle: BTreeMap::new(),
                fed: false,
                before: 0,
                revision: 0,
            }),
            datapath,
            store,
        })
    }

    /// Whether every source has been seen once. Before, a pod could be given less isolation than it is owed.
    pub fn ready(&self) -> bool {
        self.lock().fed
    }

    /// Takes in what the watches have seen since the last pass and brings the datapath there. To be called when all are synced.
    pub fn pass(&self, watched: &Watched, around: &Surroundings<'_>) -> Pass {
        let mut state = self.lock();
        if state.runs_api_server != around.runs_api_server {
            let numbers = state.blocks.numbers(&self.store);
            state.begin_anew(Options {
                host_runs_apiserver: around.runs_api_server,
                max_entries: self.max_entries,
                numbers,
                ..Options::default()
            });
        }
        let State {
            feed, repository, ..
        } = &mut *state;
        feed.tell(repository, watched, around.local);
        state.blocks.set_routers(&around.routers);
        state.fed = true;
        let mut pass = self.write(&mut state);
        // After the datapath, which need not wait for files.
        let failures = state.feed.remember(&self.store, around.local);
        pass.failures.extend(failures);
        pass
    }

    /// Policies that changed since the process began.
    pub fn changes(&self) -> Changes {
        self.lock().feed.changes()
    }

    /// The number of a pod's policy; the datapath has the policy when this returns.
    pub fn admit(&self, subject: &Subject) -> Result<u32, String> {
        let mut state = self.lock();
        if let Some(number) = state.numbers.get(subject).copied()
            && state
                .programs
                .get(&number)
                .is_some_and(|program| program.written)
        {
            return Ok(number);
        }
        let number = match state.numbers.get(subject) {
            Some(number) => *number,
            None => state.begin(subject),
        };
        let pass = self.write(&mut state);
        match state.programs.get(&number) {
            Some(program) if program.written => Ok(number),
            _ => Err(pass.failures.join("; ")),
        }
    }

    /// Forgets policies that no pod has used for [`IDLE`], those of an earlier process among them.
    pub fn release(&self, in_use: &BTreeSet<u32>, now: Instant) -> Result<(), datapath::Error> {
        let mut state = self.lock();
        let known = self.datapath.policies()?;
        state
            .idle
            .retain(|number, _| known.contains(number) && !in_use.contains(number));
        for number in known.into_iter().filter(|known| !in_use.contains(known)) {
            let since = *state.idle.entry(number).or_insert(now);
            if now.duration_since(since) < IDLE {
                continue;
            }
            state.forget(number);
            self.datapath.remove_policy(number)?;
        }
        Ok(())
    }

    /// Which directions a policy isolates; `None` for one of an earlier process.
    pub fn enforcement(&self, number: u32) -> Option<Enforcement> {
        self.lock()
            .programs
            .get(&number)
            .map(|program| program.enforcement)
    }

    /// The policies behind a cookie of the datapath.
    pub fn behind(&self, cookie: u32) -> Vec<PolicyRef> {
        self.lock()
            .repository
            .policies_behind(Cookie(cookie))
            .to_vec()
    }

    /// Policies that select a pod with this number.
    pub fn selecting(&self, number: u32) -> Vec<PolicyRef> {
        self.lock().repository.policies_of(SubjectId(number))
    }

    /// How many changes of policies the datapath has followed. Who waits for one of their own may then rely on it.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Maps that would not fit, by the number of the policy whose old state stays.
    pub fn too_large(&self) -> BTreeMap<u32, Refused> {
        let state = self.lock();
        let refused = state.refused.iter();
        refused
            .map(|(subject, refused)| (subject.0, refused.clone()))
            .collect()
    }

    /// The policies that are to blame for that.
    pub fn unplaced(&self) -> BTreeSet<Unplaced> {
        let state = self.lock();
        let blamed = state
            .refused
            .values()
            .filter_map(|refused| refused.policy.as_ref());
        blamed
            .map(|policy| Unplaced {
                kind: policy.kind.to_string(),
                namespace: policy.namespace.clone(),
                name: policy.name.clone(),
            })
            .collect()
    }

    /// Runs `look` on the resolver, for what people ask of it.
    pub fn with<T>(&self, look: impl FnOnce(&Repository) -> T) -> T {
        look(&self.lock().repository)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, subject: &Subject) -> u32 {
        self.last += 1;
        let number = self.last;
        self.numbers.insert(subject.clone(), number);
        self.programs.insert(number, Program::default());
        self.repository
            .upsert_subject(SubjectId(number), subject.clone());
        number
    }

    /// Rules are read differently where the API server is: everything is told and resolved again, with the same numbers.
    fn begin_anew(&mut self, options: Options) {
        self.runs_api_server = options.host_runs_apiserver;
        self.before += self.repository.revision();
        self.repository = Repository::new(options);
        self.feed.begin_anew(&mut self.repository);
        for (subject, number) in &self.numbers {
            self.repository
                .upsert_subject(SubjectId(*number), subject.clone());
        }
        for program in self.programs.values_mut() {
            program.written = false;
        }
    }

    fn forget(&mut self, number: u32) {
        self.numbers.retain(|_, known| *known != number);
        self.programs.remove(&number);
        self.refused.remove(&SubjectId(number));
        self.idle.remove(&number);
        self.repository.remove_subject(SubjectId(number));
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod weight;

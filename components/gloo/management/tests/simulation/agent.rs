//! One agent's process: the agent's own observation, memory, plan and session; modelled watches, writes and waiting.

use std::{collections::VecDeque, time::Duration};

use gloo_mesh_agent::{
    control::Control,
    kinds,
    memory::{Memory, Seen, Stream, may_write},
    observed::Observed,
    plan::{Plan, Write},
};
use gloo_relay::{
    client::{State, after},
    proto::{FromAgent, Results, from_agent},
    session::{AgentEnd, AgentFacts, AgentSession, AgentStep, Backoff, Moment},
    table::Incoming,
};
use kube::runtime::watcher;

use super::{
    api::{Api, watched},
    network::Network,
    random::Random,
};

/// As `reconcile`'s.
const SETTLE: Duration = Duration::from_millis(300);
const AGAIN: Duration = Duration::from_secs(30);

/// What the reconciler is at.
#[derive(Debug)]
enum Task {
    /// What came on the stream, and how many changes that were.
    Desired(usize),
    Settled,
    Look,
}

#[derive(Debug)]
struct Work {
    task: Task,
    plan: Plan,
    control: Option<Control>,
    writes: VecDeque<Write>,
    next: Moment,
}

/// A process.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) instance: String,
    pub(crate) began: Moment,
    pub(crate) session: AgentSession,
    pub(crate) stream: Option<usize>,
    pub(crate) state: State,
    /// It does nothing until then.
    pub(crate) stuck_until: Moment,
    /// What the server gave it and it refused.
    pub(crate) refused: Option<String>,
    pub(crate) held: Option<String>,
    observed: Observed,
    memory: Memory,
    on_stream: Stream,
    control: Option<Control>,
    /// Events of the watch it has seen; `None`: it has not listed yet.
    watched: Option<usize>,
    lag: Duration,
    backoff: Backoff,
    opened: Moment,
    retry: Moment,
    fresh: usize,
    settled: Option<u64>,
    results: Results,
    told: bool,
    look: Moment,
    work: Option<Work>,
}

impl Agent {
    pub(crate) fn new(
        api: &Api,
        number: usize,
        now: Moment,
        started_ms: i64,
        lag: Duration,
    ) -> Self {
        let instance = format!("{}/{number}", api.cluster);
        let facts = AgentFacts {
            version: "1".to_owned(),
            cluster_uid: format!("uid-{}", api.cluster),
            instance: instance.clone(),
            started_ms,
            capabilities: Vec::new(),
        };
        Self {
            instance,
            began: now,
            session: AgentSession::new(facts, Incoming::default()),
            stream: None,
            state: State::Connecting,
            stuck_until: Moment::ZERO,
            refused: None,
            held: None,
            observed: Observed::new(&api.cluster),
            memory: Memory::default(),
            on_stream: Stream::default(),
            control: None,
            watched: None,
            lag,
            backoff: Backoff::default(),
            opened: now,
            retry: now,
            fresh: 0,
            settled: None,
            results: Results::default(),
            told: true,
            look: now,
            work: None,
        }
    }

    pub(crate) fn wants_stream(&self, now: Moment) -> bool {
        self.stream.is_none() && self.retry <= now && self.stuck_until <= now
    }

    pub(crate) fn open(&mut self, now: Moment, stream: usize, network: &mut Network) {
        self.set(State::Connecting);
        self.opened = now;
        self.stream = Some(stream);
        (self.told, self.fresh, self.settled) = (false, 0, None);
        let hello = self.session.open(now);
        network.send_up(now, stream, hello);
    }

    fn set(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            // A turn that may not go on is dropped where it is.
            if self
                .work
                .as_ref()
                .is_some_and(|work| matches!(work.task, Task::Look))
            {
                self.work = None;
            }
            self.look = Moment::ZERO;
        }
        if state != State::Connected {
            self.on_stream.left();
        }
    }

    /// The stream ended, or there never was one.
    pub(crate) fn hang_up(&mut self, now: Moment, end: Option<&AgentEnd>, random: &mut Random) {
        self.session.close();
        self.stream = None;
        if self
            .work
            .as_ref()
            .is_some_and(|work| !matches!(work.task, Task::Look))
        {
            self.work = None;
        }
        let lasted = now.saturating_sub(self.opened);
        let (state, pause) = after(end, lasted, &mut self.backoff, random.unit());
        self.retry = now + pause;
        self.set(state);
    }

    /// What watches say. A new one lists first; so does one that broke.
    pub(crate) fn watch(&mut self, now: Moment, api: &Api, control: &Control) {
        let Some(seen) = self.watched else {
            self.list(api);
            self.control = Some(control.clone());
            return;
        };
        let news = api.journal.iter().skip(seen);
        let news: Vec<_> = news
            .take_while(|event| event.at + self.lag <= now)
            .collect();
        for event in &news {
            let Some(kind) = watched(&event.key) else {
                continue;
            };
            let object = serde_json::from_value(event.object.clone()).unwrap();
            let said = if event.gone {
                watcher::Event::Delete(object)
            } else {
                watcher::Event::Apply(object)
            };
            self.observed.take(&kind, said).unwrap();
            if kind == kinds::POLICY || kinds::GLOO_KINDS.contains(&kind) {
                self.look = self.look.min(now + SETTLE);
            }
        }
        self.watched = Some(seen + news.len());
        if self.control.as_ref() != Some(control) {
            self.control = Some(control.clone());
            self.look = now;
        }
    }

    fn list(&mut self, api: &Api) {
        for kind in kinds::all() {
            self.observed.take(&kind, watcher::Event::Init).unwrap();
            let all = api
                .objects
                .iter()
                .filter(|(key, _)| watched(key) == Some(kind));
            for (_, object) in all {
                let object = serde_json::from_value(object.clone()).unwrap();
                let said = watcher::Event::InitApply(object);
                self.observed.take(&kind, said).unwrap();
            }
            self.observed.take(&kind, watcher::Event::InitDone).unwrap();
        }
        self.watched = Some(api.journal.len());
    }

    pub(crate) fn lose_watch(&mut self) {
        self.watched = None;
    }

    /// Reads what arrived, and says what there is to say. The error is the stream's end.
    pub(crate) fn talk(
        &mut self,
        now: Moment,
        stream: usize,
        network: &mut Network,
    ) -> Result<(), Option<AgentEnd>> {
        while let Some(message) = network.at_agent(now, stream) {
            for step in self.session.receive(now, message)? {
                match step {
                    AgentStep::Send(message) => network.send_up(now, stream, message),
                    AgentStep::Apply { .. } => self.fresh += 1,
                    AgentStep::Welcomed => self.on_stream.opened(self.results.turn),
                    AgentStep::Settled { turn } => self.settled = Some(turn),
                }
            }
            if self.session.live() {
                self.set(State::Connected);
            }
        }
        if network.is_lost(now, stream) {
            return Err(None);
        }
        self.session.check(now)?;
        if self.session.live() && !self.told {
            self.told = true;
            let message = Some(from_agent::Message::Results(self.results.clone()));
            network.send_up(now, stream, FromAgent { message });
        }
        let source = self.observed.source();
        let source = source.borrow();
        while let Some(message) = self.session.poll(now, source.as_ref())? {
            network.send_up(now, stream, message);
        }
        Ok(())
    }

    /// Goes on with what it is at, or begins something. The error is a broken invariant.
    pub(crate) fn reconcile(
        &mut self,
        now: Moment,
        api: &mut Api,
        network: &mut Network,
        random: &mut Random,
    ) -> Result<(), String> {
        if self.work.is_none() {
            self.work = self.begin(now);
        }
        while let Some(work) = self.work.as_mut().filter(|work| work.next <= now) {
            let Some(write) = work.writes.pop_front() else {
                self.finish(now, network);
                break;
            };
            work.next = now + random.millis(40);
            let off = |control: &Control| control.kill_switch;
            if work.control.as_ref().is_none_or(off) {
                return Err(format!("{} writes though its switch is on", self.instance));
            }
            match api.perform(now, &write)? {
                Ok(done) => drop(self.memory.done(&write, done)),
                Err(error) => drop(work.plan.errors.insert(write.key().clone(), error)),
            }
        }
        Ok(())
    }

    fn begin(&mut self, now: Moment) -> Option<Work> {
        if self.fresh > 0 {
            let changes = std::mem::take(&mut self.fresh);
            self.memory.desire(self.session.desired().objects().clone());
            self.on_stream.heard();
            return Some(self.turn(now, Task::Desired(changes)));
        }
        if let Some(turn) = self.settled.take() {
            let control = self.control.clone();
            let pending = self.memory.settled(turn, &self.on_stream, control.as_ref());
            return Some(Work {
                task: Task::Settled,
                plan: Plan::default(),
                control,
                writes: pending.into(),
                next: now,
            });
        }
        let due = self.look <= now && may_write(self.state);
        due.then(|| self.turn(now, Task::Look))
    }

    fn turn(&mut self, now: Moment, task: Task) -> Work {
        let control = self.control.clone();
        let mut plan = Plan::default();
        if self.observed.source().borrow().is_some() {
            let seen = Seen {
                cluster: self.instance.split('/').next().unwrap_or_default(),
                policies: &self.observed.policies(),
                control: control.as_ref(),
                stream: &self.on_stream,
            };
            plan = self.memory.turn(&seen, now);
        }
        self.look = now + 4 * AGAIN;
        self.refused = plan.errors.values().next().cloned();
        Work {
            task,
            writes: std::mem::take(&mut plan.writes).into(),
            plan,
            control,
            next: now,
        }
    }

    fn finish(&mut self, now: Moment, network: &mut Network) {
        let Some(work) = self.work.take() else { return };
        match work.task {
            Task::Settled => {
                self.memory.removed();
                return;
            }
            Task::Desired(changes) => {
                for _ in 0..changes {
                    if let (Some(stream), Some(ack)) = (self.stream, self.session.applied()) {
                        network.send_up(now, stream, ack);
                    }
                }
            }
            Task::Look => {}
        }
        if !work.plan.errors.is_empty() {
            self.look = self.look.min(now + AGAIN);
        }
        self.held = work.plan.held.map(|(_, digest)| digest.to_string());
        let results = self.memory.results(&work.plan, work.control.as_ref());
        if self.results != results {
            self.results = results;
            self.told = false;
        }
    }

    /// When it would do something by itself.
    pub(crate) fn due(&self) -> Moment {
        let stream = if self.stream.is_none() {
            self.retry
        } else {
            Moment::MAX
        };
        let look = if may_write(self.state) {
            self.look
        } else {
            Moment::MAX
        };
        let work = self.work.as_ref().map_or(look, |work| work.next);
        stream.min(work).max(self.stuck_until)
    }

    /// Whether its word is its cluster's, as far as it knows.
    pub(crate) fn rules(&self) -> bool {
        self.session.warmed() && self.state == State::Connected
    }
}

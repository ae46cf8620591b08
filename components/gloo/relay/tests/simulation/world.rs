//! Clusters, server, and the network between them, moved by a seed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write,
    time::Duration,
};

use gloo_relay::{
    key::ObjectKey,
    proto::{FromAgent, FromServer, Hello, Refused, Results, from_agent, refused::Code},
    session::{AgentEnd, AgentStep, Claim, Moment, ServerEnd, ServerStep},
};

use super::{
    cluster::{Agent, Cluster, policy, resource},
    random::Random,
    server::{Server, Variant},
};

const CLUSTERS: usize = 3;
/// When an end notices that the other is gone.
const KEEPALIVE: Duration = Duration::from_secs(40);

/// The wire of one stream.
#[derive(Debug, Default)]
struct Wire {
    up: VecDeque<(Moment, FromAgent)>,
    down: VecDeque<(Moment, FromServer)>,
    cut: Option<Moment>,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    random: Random,
    now: Moment,
    clusters: Vec<Cluster>,
    server: Server,
    wires: BTreeMap<usize, Wire>,
    streams: usize,
    names: u64,
    /// Resources nobody has any more.
    gone: BTreeSet<ObjectKey>,
    faults: bool,
    trace: String,
}

impl World {
    pub(crate) fn new(seed: u64, variant: Variant) -> Self {
        let mut world = Self {
            random: Random(seed),
            now: Moment::ZERO,
            clusters: (0..CLUSTERS).map(Cluster::new).collect(),
            server: Server::new(CLUSTERS, variant),
            wires: BTreeMap::new(),
            streams: 0,
            names: 0,
            gone: BTreeSet::new(),
            faults: true,
            trace: String::new(),
        };
        for _ in 0..24 {
            world.add();
        }
        world
    }

    pub(crate) fn trace(&self) -> String {
        self.trace.clone()
    }

    fn add(&mut self) {
        let cluster = self.random.index(CLUSTERS);
        self.clusters[cluster].add(self.names);
        self.names += 1;
    }

    /// A name is never used again, so that a policy that goes has one reason or none.
    fn remove(&mut self) {
        let key = resource(self.random.below(self.names));
        for cluster in &mut self.clusters {
            if cluster.observed.remove(&key) {
                self.gone.insert(policy(&key));
            }
        }
    }

    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.now += Duration::from_millis(1 + self.random.below(400));
        if self.faults {
            self.fault();
        }
        if self.random.once_in(4) {
            self.server.store();
        }
        for cluster in 0..CLUSTERS {
            for agent in 0..self.clusters[cluster].agents.len() {
                self.agent(cluster, agent)?;
            }
        }
        self.serve();
        let applied = self.clusters.iter().map(|cluster| cluster.applied.len());
        let applied: Vec<_> = applied.collect();
        let _ = write!(self.trace, "{:?}{applied:?}", self.now);
        Ok(())
    }

    fn fault(&mut self) {
        match self.random.below(120) {
            0..=5 => self.add(),
            6..=7 => self.remove(),
            8..=10 => self.cut(),
            11 => self.restart(false),
            12 if self.random.once_in(2) => self.restart(true),
            13 => self.repeat(),
            14 => {
                let (cluster, pause) = (self.random.index(CLUSTERS), self.random.below(60));
                let agents = &mut self.clusters[cluster].agents;
                if let Some(agent) = agents.last_mut() {
                    agent.slow_until = self.now + Duration::from_secs(pause);
                }
            }
            15 if self.random.once_in(3) => self.second(),
            _ => {}
        }
    }

    /// A stream's wire is cut; the ends notice later, each at its own time.
    fn cut(&mut self) {
        let live: Vec<_> = self.wires.keys().copied().collect();
        if live.is_empty() {
            return;
        }
        let stream = live[self.random.index(live.len())];
        let now = self.now;
        if let Some(wire) = self.wires.get_mut(&stream) {
            wire.cut.get_or_insert(now);
        }
    }

    fn restart(&mut self, wiped: bool) {
        self.server.restart(wiped);
        for wire in self.wires.values_mut() {
            wire.cut.get_or_insert(self.now);
        }
    }

    /// A message comes twice, which no TCP does; the session must stand it.
    fn repeat(&mut self) {
        for wire in self.wires.values_mut() {
            wire.down.extend(wire.down.back().cloned());
            wire.up.extend(wire.up.back().cloned());
        }
    }

    /// Another agent starts in a cluster, its clock somewhat off; the first one lives on.
    fn second(&mut self) {
        let cluster = self.random.index(CLUSTERS);
        let (number, skew) = (self.clusters[cluster].agents.len(), self.random.below(5000));
        let started = i64::try_from(self.now.as_millis()).unwrap() + i64::try_from(skew).unwrap();
        if number < 3 {
            self.clusters[cluster]
                .agents
                .push(Agent::new(cluster, number, started));
        }
    }

    fn delay(&mut self) -> Moment {
        let slow = self.faults && self.random.once_in(50);
        self.now + Duration::from_millis(self.random.below(if slow { 8000 } else { 120 }))
    }

    fn agent(&mut self, cluster: usize, number: usize) -> Result<(), String> {
        let agent = &mut self.clusters[cluster].agents[number];
        let Some(stream) = agent.stream else {
            if agent.retry_at <= self.now {
                agent.fenced = false;
                let hello = agent.session.open(self.now);
                self.streams += 1;
                agent.stream = Some(self.streams);
                self.server.accept(self.streams, cluster, self.now);
                let at = self.delay();
                let wire = self.wires.entry(self.streams).or_default();
                wire.up.push_back((at, hello));
            }
            return Ok(());
        };
        let cut = self
            .wires
            .get(&stream)
            .map_or(Some(self.now), |wire| wire.cut);
        if cut.is_some_and(|cut| self.now > cut + KEEPALIVE) || !self.wires.contains_key(&stream) {
            self.hang_up(cluster, number, false);
            return Ok(());
        }
        if agent.slow_until <= self.now
            && let Err(end) = self.read(cluster, number, stream)?
        {
            let fenced = matches!(
                end,
                AgentEnd::Refused {
                    code: Code::Fenced,
                    ..
                }
            );
            self.hang_up(cluster, number, fenced);
            return Ok(());
        }
        let cluster = &mut self.clusters[cluster];
        let mut sent = Vec::new();
        if cluster.touched(number) {
            sent.extend(cluster.apply(number)?.map(results));
        }
        let agent = &mut cluster.agents[number];
        while let Ok(Some(message)) = agent.session.poll(self.now, Some(&cluster.observed)) {
            sent.push(message);
        }
        self.send_up(stream, sent);
        Ok(())
    }

    fn hang_up(&mut self, cluster: usize, number: usize, fenced: bool) {
        let pause = Duration::from_secs(1 + self.random.below(if fenced { 120 } else { 10 }));
        let agent = &mut self.clusters[cluster].agents[number];
        agent.session.close();
        agent.retry_at = self.now + pause;
        agent.fenced = fenced;
        if let Some(stream) = agent.stream.take()
            && let Some(wire) = self.wires.get_mut(&stream)
        {
            wire.cut.get_or_insert(self.now);
        }
    }

    fn send_up(&mut self, stream: usize, messages: Vec<FromAgent>) {
        for message in messages {
            let at = self.delay();
            if let Some(wire) = self
                .wires
                .get_mut(&stream)
                .filter(|wire| wire.cut.is_none())
            {
                let at = wire.up.back().map_or(at, |(last, _)| at.max(*last));
                wire.up.push_back((at, message));
            }
        }
    }

    fn send_down(&mut self, stream: usize, message: FromServer) {
        let at = self.delay();
        if let Some(wire) = self
            .wires
            .get_mut(&stream)
            .filter(|wire| wire.cut.is_none())
        {
            let at = wire.down.back().map_or(at, |(last, _)| at.max(*last));
            wire.down.push_back((at, message));
        }
    }

    /// The agent reads what arrived. The outer error is a broken invariant, the inner one the stream's end.
    fn read(
        &mut self,
        cluster: usize,
        number: usize,
        stream: usize,
    ) -> Result<Result<(), AgentEnd>, String> {
        while let Some(message) = arrived(&mut self.wires.get_mut(&stream).unwrap().down, self.now)
        {
            let agent = &mut self.clusters[cluster].agents[number];
            let steps = match agent.session.receive(self.now, message) {
                Ok(steps) => steps,
                Err(end) => return Ok(Err(end)),
            };
            let mut sent = Vec::new();
            for step in steps {
                match step {
                    AgentStep::Send(message) => sent.push(message),
                    AgentStep::Welcomed => self.clusters[cluster].agents[number].opened(),
                    AgentStep::Settled { turn } => self.settled(cluster, number, turn)?,
                    AgentStep::Apply { .. } => {
                        self.clusters[cluster].agents[number].fresh = true;
                        let turn = self.clusters[cluster].apply(number)?;
                        let agent = &mut self.clusters[cluster].agents[number];
                        sent.extend(agent.session.applied());
                        sent.extend(turn.map(results));
                    }
                }
            }
            self.send_up(stream, sent);
        }
        let agent = &self.clusters[cluster].agents[number];
        Ok(agent.session.check(self.now))
    }

    fn settled(&mut self, cluster: usize, number: usize, turn: u64) -> Result<(), String> {
        for key in self.clusters[cluster].settled(number, turn)? {
            if !self.gone.contains(&key) {
                return Err(format!(
                    "at {:?} {key} of cluster {cluster} was removed though it is desired",
                    self.now
                ));
            }
        }
        Ok(())
    }

    fn serve(&mut self) {
        let streams: Vec<_> = self.wires.keys().copied().collect();
        for stream in streams {
            let cut = self.wires[&stream].cut;
            if cut.is_some_and(|cut| self.now > cut + KEEPALIVE) {
                self.server.streams.remove(&stream);
                self.wires.remove(&stream);
                continue;
            }
            if let Err(end) = self.serve_stream(stream) {
                self.end(stream, &end);
            }
        }
    }

    fn end(&mut self, stream: usize, end: &ServerEnd) {
        self.send_down(stream, end.message());
        self.server.streams.remove(&stream);
    }

    fn serve_stream(&mut self, stream: usize) -> Result<(), ServerEnd> {
        while let Some(message) = arrived(&mut self.wires.get_mut(&stream).unwrap().up, self.now) {
            let Some(served) = self.server.streams.get_mut(&stream) else {
                return Ok(());
            };
            let cluster = served.cluster;
            for step in served.session.receive(self.now, message)? {
                match step {
                    ServerStep::Send(message) => self.send_down(stream, message),
                    ServerStep::Hello(hello) => self.greet(stream, cluster, &hello)?,
                    ServerStep::Observed { changes, .. } => {
                        self.server.observed(cluster, changes);
                        let served = self.server.streams.get_mut(&stream).unwrap();
                        let ack = served.session.taken();
                        if let Some(ack) = ack {
                            self.send_down(stream, ack);
                        }
                    }
                    ServerStep::Acked(_) | ServerStep::Results(_) => {}
                }
            }
        }
        let Some(mut served) = self.server.streams.remove(&stream) else {
            return Ok(());
        };
        let mut result = served.session.check(self.now);
        while result.is_ok() {
            match served.session.poll(self.now, self.server.desired()) {
                Ok(Some(message)) => self.send_down(stream, message),
                Ok(None) => break,
                Err(end) => result = Err(end),
            }
        }
        self.server.streams.insert(stream, served);
        result
    }

    fn greet(&mut self, stream: usize, cluster: usize, hello: &Hello) -> Result<(), ServerEnd> {
        let claim = Claim {
            instance: hello.instance.clone(),
            started_ms: hello.started_ms,
        };
        let fenced = || {
            ServerEnd::Refused(Refused {
                code: Code::Fenced.into(),
                reason: "another agent".to_owned(),
            })
        };
        let before = self.server.fence(stream, &claim).map_err(|()| fenced())?;
        if let Some(before) = before {
            self.end(before, &fenced());
        }
        let held = self.server.held(cluster);
        let served = self.server.streams.get_mut(&stream).unwrap();
        served.claim = Some(claim);
        let welcome = served.session.admit(held, "1", "server");
        self.send_down(stream, welcome);
        Ok(())
    }

    /// The faults stop, people confirm what is held: in the end everything is as it is to be.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.faults = false;
        for cluster in &mut self.clusters {
            cluster
                .agents
                .iter_mut()
                .for_each(|agent| agent.slow_until = Moment::ZERO);
        }
        for round in 0..4000 {
            self.step()?;
            if round % 50 == 0 {
                self.confirm()?;
            }
            if round % 20 == 0 && self.agrees() {
                return Ok(());
            }
        }
        let applied: Vec<_> = self
            .clusters
            .iter()
            .map(|cluster| cluster.applied.len())
            .collect();
        Err(format!(
            "no agreement: {} desired, applied {applied:?}",
            self.wanted().len()
        ))
    }

    fn confirm(&mut self) -> Result<(), String> {
        for cluster in 0..CLUSTERS {
            for number in 0..self.clusters[cluster].agents.len() {
                let agent = &mut self.clusters[cluster].agents[number];
                if agent.held.is_some() && agent.fresh && agent.session.live() && !agent.fenced {
                    agent.confirm();
                    let stream = agent.stream;
                    let turn = self.clusters[cluster].apply(number)?;
                    if let (Some(stream), Some(turn)) = (stream, turn) {
                        self.send_up(stream, vec![results(turn)]);
                    }
                }
            }
        }
        Ok(())
    }

    fn wanted(&self) -> BTreeSet<ObjectKey> {
        let all = self
            .clusters
            .iter()
            .flat_map(|cluster| cluster.observed.iter());
        all.map(|(key, _)| policy(key)).collect()
    }

    fn agrees(&self) -> bool {
        let wanted = self.wanted();
        self.clusters.iter().all(|cluster| {
            let warmed = cluster.agents.iter().filter(|agent| agent.session.warmed());
            cluster.applied.keys().eq(&wanted) && warmed.count() == 1
        })
    }
}

fn results(turn: u64) -> FromAgent {
    let results = Results {
        turn,
        ..Results::default()
    };
    FromAgent {
        message: Some(from_agent::Message::Results(results)),
    }
}

/// The next message that has arrived.
fn arrived<T>(wire: &mut VecDeque<(Moment, T)>, now: Moment) -> Option<T> {
    if wire.front()?.0 <= now {
        wire.pop_front().map(|(_, message)| message)
    } else {
        None
    }
}

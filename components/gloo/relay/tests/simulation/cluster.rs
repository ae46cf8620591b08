//! A cluster: its API server's content, and the agents that speak for it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gloo_relay::{
    budget::{Judgement, MassRemoval},
    digest::Digest,
    key::ObjectKey,
    session::{AgentFacts, AgentSession, Moment},
    table::{Incoming, Source},
};

/// One agent's process.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) instance: String,
    pub(crate) session: AgentSession,
    pub(crate) stream: Option<usize>,
    pub(crate) retry_at: Moment,
    pub(crate) fenced: bool,
    /// It reads nothing until then.
    pub(crate) slow_until: Moment,
    before: BTreeSet<ObjectKey>,
    removed: BTreeSet<ObjectKey>,
    confirmed: Option<Digest>,
    turn: u64,
    /// What it decided to remove, as it was then.
    pending: BTreeMap<ObjectKey, u64>,
    pub(crate) held: Option<Digest>,
    /// What is desired came on the stream there is now.
    pub(crate) fresh: bool,
    /// The policies it last looked at.
    looked: BTreeMap<ObjectKey, u64>,
}

impl Agent {
    pub(crate) fn new(cluster: usize, number: usize, started_ms: i64) -> Self {
        let instance = format!("c{cluster}-{number}");
        let facts = AgentFacts {
            version: "1".to_owned(),
            cluster_uid: format!("uid-{cluster}"),
            instance: instance.clone(),
            started_ms,
            capabilities: Vec::new(),
        };
        Self {
            instance,
            session: AgentSession::new(facts, Incoming::default()),
            stream: None,
            retry_at: Moment::ZERO,
            fenced: false,
            slow_until: Moment::ZERO,
            before: BTreeSet::new(),
            removed: BTreeSet::new(),
            confirmed: None,
            turn: 0,
            pending: BTreeMap::new(),
            held: None,
            fresh: false,
            looked: BTreeMap::new(),
        }
    }

    fn wanted(&self) -> BTreeSet<ObjectKey> {
        self.session.desired().objects().keys().cloned().collect()
    }

    /// A new stream: decisions from before are void.
    pub(crate) fn opened(&mut self) {
        self.pending.clear();
        self.fresh = false;
        self.turn += 1;
    }

    /// The administrator confirms what is held.
    pub(crate) fn confirm(&mut self) {
        self.confirmed = self.held;
    }
}

/// A cluster. What it has of the management plane's are names: `w7` leads to a policy `w7` in every cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) observed: Source,
    /// With a number that no two makings share, as a UID is.
    pub(crate) applied: BTreeMap<ObjectKey, u64>,
    made: u64,
    pub(crate) agents: Vec<Agent>,
}

pub(crate) fn resource(name: u64) -> ObjectKey {
    ObjectKey::new("v2", "Workspace", "gloo-mesh", &format!("w{name}")).unwrap()
}

pub(crate) fn policy(resource: &ObjectKey) -> ObjectKey {
    ObjectKey::new("v2", "Policy", "shop", resource.name()).unwrap()
}

impl Cluster {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            observed: Source::default(),
            applied: BTreeMap::new(),
            made: 0,
            agents: vec![Agent::new(number, 0, 0)],
        }
    }

    pub(crate) fn add(&mut self, name: u64) {
        self.observed.set(resource(name), Bytes::from_static(b"{}"));
    }

    /// Somebody else changed the policies, such as an agent that did not know yet that it was fenced: the watch says so.
    pub(crate) fn touched(&self, agent: usize) -> bool {
        let agent = &self.agents[agent];
        agent.fresh && agent.session.live() && !agent.fenced && agent.looked != self.applied
    }

    /// The agent makes what is desired, and decides what to remove. Returns the turn it tells the server, if there is one.
    pub(crate) fn apply(&mut self, agent: usize) -> Result<Option<u64>, String> {
        let agent = &mut self.agents[agent];
        if agent.fenced {
            return Err(format!("{} writes though it is fenced", agent.instance));
        }
        let wanted = agent.wanted();
        agent.before.extend(self.applied.keys().cloned());
        for key in &wanted {
            self.made += 1;
            self.applied.entry(key.clone()).or_insert(self.made);
        }
        agent.looked.clone_from(&self.applied);
        agent.pending.clear();
        match MassRemoval::default().judge(&agent.before, &wanted, agent.confirmed) {
            Judgement::Hold { digest, .. } => agent.held = Some(digest),
            Judgement::Proceed => {
                agent.held = None;
                let extra = self
                    .applied
                    .iter()
                    .filter(|(key, _)| !wanted.contains(*key));
                agent.pending = extra.map(|(key, made)| (key.clone(), *made)).collect();
            }
        }
        if agent.pending.is_empty() {
            return Ok(None);
        }
        agent.turn += 1;
        Ok(Some(agent.turn))
    }

    /// The server answered: removes what was decided, where nobody decided or wrote otherwise since.
    pub(crate) fn settled(&mut self, agent: usize, turn: u64) -> Result<Vec<ObjectKey>, String> {
        let agent = &mut self.agents[agent];
        if turn < agent.turn || agent.fenced {
            return Ok(Vec::new());
        }
        let wanted = agent.wanted();
        let mut removed = Vec::new();
        for (key, made) in std::mem::take(&mut agent.pending) {
            if !wanted.contains(&key) && self.applied.get(&key) == Some(&made) {
                self.applied.remove(&key);
                removed.push(key);
            }
        }
        agent.removed.extend(removed.iter().cloned());
        let most = (agent.before.len() / 5).max(MassRemoval::default().floor);
        if agent.confirmed.take().is_some() {
            agent.before.clear();
            agent.removed.clear();
        } else if agent.removed.len() > most {
            let (name, all) = (&agent.instance, agent.before.len());
            return Err(format!("{name} removed {} of {all}", agent.removed.len()));
        }
        Ok(removed)
    }
}

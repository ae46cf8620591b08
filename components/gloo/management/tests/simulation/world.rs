//! Clusters, replicas and what lies between them, moved by a seed.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gloo_api::{ClusterName, KubernetesCluster, enrolment::TokenRecord};
use gloo_mesh_agent::control::Control;
use gloo_mesh_mgmt_server::clusters::CONFIRM;
use gloo_relay::session::Moment;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::{
    agent::Agent,
    api::Api,
    judge::Judge,
    network::Network,
    people::{CLUSTERS, Order, People},
    random::Random,
    redis::Redis,
    replica::{Registered, Replica, Variant},
};

/// How long two agents of one cluster may both be served, since the second started or Redis forgot it.
const BLIND: Duration = Duration::from_secs(10);

/// A cluster: its API server, its administrator's word, and the agents that speak for it.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: ClusterName,
    pub(crate) api: Api,
    pub(crate) control: Control,
    pub(crate) agents: Vec<Agent>,
    started: usize,
    /// Since when two replicas serve it.
    twice: Option<Moment>,
}

/// A pod of the server.
pub(crate) struct Pod {
    pub(crate) replica: Option<Replica>,
    pub(crate) starts: Moment,
    lives: u64,
    pub(crate) skew: SignedDuration,
}

/// Everything.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) now: Moment,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) network: Network,
    pub(crate) redis: Arc<Mutex<Redis>>,
    pub(crate) people: People,
    pub(crate) judge: Judge,
    pub(crate) registered: Registered,
    /// A server was in the wrong hands.
    pub(crate) mad: bool,
    redis_up: Moment,
    variant: Variant,
    pub(crate) trace: String,
}

impl World {
    pub(crate) fn new(seed: u64, variant: Variant) -> Self {
        let mut random = Random(seed);
        let home = CLUSTERS[0].parse().unwrap();
        let mut world = Self {
            now: Moment::ZERO,
            clusters: Vec::new(),
            pods: Vec::new(),
            network: Network::new(random.fork()),
            redis: Redis::new(random.fork()),
            people: People::new(random.fork()),
            judge: Judge::new(&home),
            registered: Registered::default(),
            mad: false,
            redis_up: Moment::ZERO,
            variant,
            trace: String::new(),
            random,
        };
        for name in CLUSTERS {
            world.clusters.push(Cluster {
                name: name.parse().unwrap(),
                api: Api::new(name),
                control: Control::default(),
                agents: Vec::new(),
                started: 0,
                twice: None,
            });
        }
        for order in world.people.begin() {
            world.obey(order);
        }
        for cluster in 0..CLUSTERS.len() {
            world.start_agent(cluster);
        }
        // The last one enrols when all is under way.
        for cluster in 0..CLUSTERS.len() - 1 {
            world.enrol(cluster);
        }
        for _ in 0..2 {
            let skew = i64::try_from(world.random.below(20_000)).unwrap() - 10_000;
            world.pods.push(Pod {
                replica: None,
                starts: Moment::ZERO,
                lives: 0,
                skew: SignedDuration::from_millis(skew),
            });
        }
        world
    }

    pub(crate) fn redis(&self) -> MutexGuard<'_, Redis> {
        self.redis.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn obey(&mut self, order: Order) {
        let (at, key) = (order.cluster(), order.key());
        let cluster = &mut self.clusters[at];
        let name = cluster.name.clone();
        let left = order.obey(self.now, &mut cluster.api);
        if super::api::is_policy(&key) && left.is_none() {
            self.judge.forgive(&cluster.name, &key);
        }
        self.judge
            .hear(self.now, &cluster.name, &key, left.as_ref());
        let spec = left.map(|object| object["spec"].to_string());
        self.note(&format!("people of {name}: {key}: {spec:?}"));
    }

    pub(crate) fn start_agent(&mut self, cluster: usize) {
        // Clocks of clusters are apart.
        let skew = self.random.below(5000);
        let started = i64::try_from(self.now.as_millis()).unwrap() + i64::try_from(skew).unwrap();
        let lag = self.random.millis(300);
        let cluster = &mut self.clusters[cluster];
        cluster.started += 1;
        let agent = Agent::new(&cluster.api, cluster.started, self.now, started, lag);
        cluster.agents.push(agent);
    }

    pub(crate) fn enrol(&mut self, cluster: usize) {
        let name = &self.clusters[cluster].name;
        let record = TokenRecord {
            cluster: name.to_string(),
            sha256: String::new(),
            expires: Timestamp::UNIX_EPOCH,
            epoch: 0,
            cluster_uid: Some(format!("uid-{name}")),
            used_by: None,
        };
        self.registered.records.insert(name.to_string(), record);
        let resource = KubernetesCluster::new(name.as_str(), serde_json::from_str("{}").unwrap());
        self.registered.clusters.insert(name.clone(), resource);
        self.registered.version += 1;
        self.judge.enrol(self.now, name);
    }

    /// Something happens. The error is a broken invariant.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.advance();
        for cluster in 0..self.clusters.len() {
            self.agents(cluster).map_err(|broken| self.say(&broken))?;
        }
        self.replicas();
        self.network.sweep(self.now);
        self.check().map_err(|broken| self.say(&broken))?;
        Ok(())
    }

    /// What one reads who looks for what broke.
    pub(crate) fn note(&mut self, what: &str) {
        let _ = writeln!(self.trace, "{:?} {what}", self.now);
    }

    pub(crate) fn say(&self, broken: &str) -> String {
        format!("at {:?}: {broken}", self.now)
    }

    /// Where nothing is due, time passes faster.
    fn advance(&mut self) {
        let pods = self.pods.iter();
        let is_busy = pods
            .clone()
            .flat_map(|pod| &pod.replica)
            .any(Replica::is_writing);
        let pods = pods.map(|pod| pod.replica.as_ref().map_or(pod.starts, Replica::due));
        let agents = self.clusters.iter().flat_map(|cluster| &cluster.agents);
        let due = pods.chain(agents.map(Agent::due)).chain(self.network.due());
        let due = due.min().unwrap_or(self.now);
        let soon = self.now + self.random.millis(300) + Duration::from_millis(1);
        let late = self.now + Duration::from_secs(4);
        let busy = self.now + Duration::from_millis(60);
        self.now = if is_busy {
            soon.min(busy)
        } else {
            soon.max(due.min(late))
        };
        self.redis().now = self.now;
        if !self.redis().is_up() {
            self.redis_up = self.now;
        }
    }

    fn agents(&mut self, at: usize) -> Result<(), String> {
        let fell = self.redis().fell;
        let Self {
            clusters,
            network,
            random,
            pods,
            now,
            judge,
            trace,
            mad,
            ..
        } = self;
        let (now, cluster) = (*now, &mut clusters[at]);
        for agent in &mut cluster.agents {
            if agent.stuck_until > now {
                continue;
            }
            agent.watch(now, &cluster.api, &cluster.control);
            if agent.wants_stream(now) {
                let replica = random.index(pods.len());
                match &mut pods[replica].replica {
                    Some(served) => {
                        let stream = network.open(at, replica);
                        let (who, to) = (&agent.instance, &served.shared.instance);
                        let _ = writeln!(trace, "{now:?} stream {stream} of {who} to {to}");
                        served.accept(now, stream);
                        agent.open(now, stream, network);
                    }
                    None => agent.hang_up(now, None, random),
                }
            }
            if let Some(stream) = agent.stream
                && let Err(end) = agent.talk(now, stream, network)
            {
                agent.hang_up(now, end.as_ref(), random);
                network.cut_one(now, stream);
            }
            agent.reconcile(now, &mut cluster.api, network, random)?;
            if let Some(why) = agent.refused.take()
                && !*mad
            {
                return Err(format!(
                    "{} was given what is not its own: {why}",
                    agent.instance
                ));
            }
        }
        let acts = std::mem::take(&mut cluster.api.acts);
        for act in &acts {
            let _ = writeln!(trace, "{now:?} {}: {act}", cluster.name);
        }
        // Another agent's replica may know less for some seconds, and is not told by a Redis that is away or empty.
        let last = cluster.agents.last().map_or(now, |agent| agent.began);
        let excused = cluster.agents.len() > 1 && now < fell.max(last) + BLIND;
        judge.acts(now, &cluster.name, acts, excused)
    }

    fn replicas(&mut self) {
        let home: ClusterName = CLUSTERS[0].parse().unwrap();
        let alive = self.pods.iter().filter(|pod| pod.replica.is_some()).count();
        let agents = self.clusters.iter().flat_map(|cluster| &cluster.agents);
        let total = agents.filter(|agent| agent.rules()).count();
        for (number, pod) in self.pods.iter_mut().enumerate() {
            if pod.replica.is_none() && pod.starts <= self.now {
                pod.lives += 1;
                let (redis, lives) = (&self.redis, pod.lives);
                let life = (number, lives, self.now, pod.skew);
                let replica = Replica::new(life, &home, redis, self.variant);
                pod.replica = Some(replica);
            }
            if let Some(replica) = &mut pod.replica {
                replica.step(
                    self.now,
                    &mut self.network,
                    &self.registered,
                    (alive, total),
                );
            }
        }
    }

    /// What holds at every moment.
    fn check(&mut self) -> Result<(), String> {
        for at in 0..self.clusters.len() {
            let cluster = &mut self.clusters[at];
            let serving = self.pods.iter().flat_map(|pod| &pod.replica);
            let network = &self.network;
            let serving = serving.filter(|replica| {
                let mut of_it = replica.serves();
                of_it.any(|(name, stream)| *name == cluster.name && network.is_whole(stream))
            });
            if serving.count() < 2 {
                cluster.twice = None;
                continue;
            }
            let since = (*cluster.twice.get_or_insert(self.now)).max(self.redis_up);
            if self.now.saturating_sub(since) > Duration::from_secs(15) {
                return Err(format!("two replicas push to {} for long", cluster.name));
            }
        }
        Ok(())
    }

    /// People confirm what is held, at both ends.
    pub(crate) fn confirm(&mut self) {
        for cluster in &mut self.clusters {
            let agents = cluster.agents.iter().rev();
            let held = agents
                .filter(|agent| agent.rules())
                .find_map(|agent| agent.held.clone());
            if held.is_some() {
                cluster.control.confirm_removal = held;
            }
            let replicas = self.pods.iter().flat_map(|pod| &pod.replica);
            let held = replicas.into_iter().find_map(|replica| {
                let state = replica.shared.state();
                let known = state.clusters.get(&cluster.name)?;
                Some(known.held.as_ref()?.digest.to_string())
            });
            let resource = self.registered.clusters.get_mut(&cluster.name);
            if let (Some(held), Some(resource)) = (held, resource) {
                let annotations = resource.annotations_mut();
                if annotations.insert(CONFIRM.to_owned(), held.clone()) != Some(held) {
                    self.registered.version += 1;
                }
            }
        }
    }

    /// The first difference between what clusters have and what they are to have.
    pub(crate) fn differs(&self) -> Option<String> {
        let enrolled = |cluster: &&Cluster| self.registered.clusters.contains_key(&cluster.name);
        let all = self.clusters.iter().filter(enrolled);
        let all: Vec<_> = all
            .map(|cluster| (cluster.name.clone(), &cluster.api))
            .collect();
        let wanted = self.judge.ideal(&all);
        for (name, api) in all {
            for (key, bytes) in &wanted[&name] {
                let object: serde_json::Value = serde_json::from_slice(bytes).unwrap();
                let there = api.objects.get(key);
                let same = there.is_some_and(|there| {
                    let labels = there["metadata"]["labels"] == object["metadata"]["labels"];
                    let part = if super::api::is_policy(key) {
                        "spec"
                    } else {
                        "status"
                    };
                    there[part] == object[part] && (labels || part == "status")
                });
                if !same {
                    let there = there.map(ToString::to_string);
                    return Some(format!("{key} of {name} is {there:?}, not {object}"));
                }
            }
            let extra = api
                .ours()
                .find(|(key, _)| !wanted[&name].contains_key(*key));
            if let Some((key, _)) = extra {
                return Some(format!("{key} of {name} is not desired"));
            }
        }
        None
    }
}

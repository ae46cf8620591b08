//! One process of the management server: its own state, translation, pushes and store; modelled streams, timers and fences' transport.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::FutureExt;
use gloo_api::{ClusterName, enrolment::TokenRecord};
use gloo_mesh_mgmt_server::{
    behind::Behind,
    clusters::{self, Seen},
    fences::verdict,
    replicas::surplus,
    shared::Shared,
    state::State,
    streams,
    sync::compute,
};
use gloo_relay::{
    proto::{Hello, Refused, refused::Code},
    server::{Admission, Stream, fenced},
    session::{Claim, Moment, ServerEnd, ServerSession, ServerStep, outranks},
    tls::Peer,
};
use gloo_store::Holder;
use jiff::{SignedDuration, Timestamp};

use super::{
    network::Network,
    redis::{Connection, Redis},
};

/// As `behind`'s, `sync`'s, `clusters`' and the relay's.
const LOOK: Duration = Duration::from_secs(2);
const GATHER: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_secs(5);
const HOLDS: Duration = Duration::from_secs(5);
const SPREAD: Duration = Duration::from_mins(1);

/// KubernetesClusters, and who enrolled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registered {
    pub(crate) clusters: Seen,
    pub(crate) records: BTreeMap<String, TokenRecord>,
    pub(crate) version: u64,
}

struct Served {
    session: ServerSession,
    live: Option<(Stream, Admission)>,
    holds: Moment,
}

type Round = Pin<Box<dyn Future<Output = Box<Behind<Connection>>> + Send>>;

/// What keeps Redis behind the state: at rest, or at work.
enum Keeping {
    Rest(Box<Behind<Connection>>, Moment),
    Work(Round),
}

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    Right,
    /// What it has not heard of is empty to it.
    NoSafeMode,
    /// It takes what it knows for all there is to know.
    Believing,
    /// It serves whoever asks.
    Unfenced,
}

/// A process.
pub(crate) struct Replica {
    pub(crate) shared: Arc<Shared>,
    redis: Arc<Mutex<Redis>>,
    variant: Variant,
    skew: SignedDuration,
    streams: BTreeMap<usize, Served>,
    numbers: u64,
    registered: u64,
    keeping: Option<Keeping>,
    again: Moment,
    spread: Moment,
}

/// What seals and epochs are made of: no two are the same, and none depends on more than the run.
fn random() -> [u8; 12] {
    use std::cell::Cell;
    thread_local!(static LAST: Cell<u64> = const { Cell::new(0) });
    let next = LAST.get() + 1;
    LAST.set(next);
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&next.to_be_bytes());
    bytes
}

impl Replica {
    /// The pod's number and which of its lives this is, when that begins, and how wrong its clock is.
    pub(crate) fn new(
        (number, life, now, skew): (usize, u64, Moment, SignedDuration),
        home: &ClusterName,
        redis: &Arc<Mutex<Redis>>,
        variant: Variant,
    ) -> Self {
        let state = State::new(home.clone(), variant != Variant::NoSafeMode);
        let shared = Arc::new(Shared::new(state, format!("server-{number}-{life}")));
        let behind = Behind::new(shared.clone(), Connection::new(redis.clone()), random);
        Self {
            shared,
            redis: redis.clone(),
            variant,
            skew,
            streams: BTreeMap::new(),
            numbers: 0,
            registered: 0,
            keeping: Some(Keeping::Rest(Box::new(behind), now)),
            again: now,
            spread: now + SPREAD,
        }
    }

    fn clock(&self, now: Moment) -> Timestamp {
        let now = SignedDuration::try_from(now).unwrap();
        Timestamp::UNIX_EPOCH + now + self.skew
    }

    pub(crate) fn accept(&mut self, now: Moment, stream: usize) {
        let served = Served {
            session: ServerSession::new(now),
            live: None,
            holds: now + HOLDS,
        };
        self.streams.insert(stream, served);
    }

    /// Everything it does at this moment. `alive` replicas there are, with so many streams in all.
    pub(crate) fn step(
        &mut self,
        now: Moment,
        network: &mut Network,
        registered: &Registered,
        (alive, total): (usize, usize),
    ) {
        if self.registered != registered.version {
            self.registered = registered.version;
            clusters::register(&self.shared, &registered.records, &registered.clusters);
        }
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            if let Err(end) = self.serve(now, stream, network) {
                self.end(now, stream, end, network);
            }
        }
        let woken = self.shared.wake.notified().now_or_never().is_some();
        if woken || self.again <= now {
            self.again = now + AGAIN;
            if self.variant == Variant::Believing {
                let (clock, mut state) = (self.clock(now), self.shared.state());
                state
                    .clusters
                    .values_mut()
                    .for_each(|known| known.agreed = Some(clock));
            }
            compute(&self.shared, self.clock(now));
        }
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            if let Err(end) = self.push(now, stream, network) {
                self.end(now, stream, Some(end), network);
            }
        }
        self.keep(now);
        if self.spread <= now {
            self.spread = now + SPREAD;
            self.let_go(alive, total);
        }
    }

    fn end(&mut self, now: Moment, stream: usize, end: Option<ServerEnd>, network: &mut Network) {
        let Some(served) = self.streams.remove(&stream) else {
            return;
        };
        if let Some(end) = &end {
            network.send_down(now, stream, end.message());
        }
        if let Some((stream, _)) = served.live {
            let why = end.map_or_else(|| "lost".to_owned(), |end| end.to_string());
            streams::closed(&self.shared, &stream, &why);
        }
    }

    /// `None`: the connection is gone.
    fn serve(
        &mut self,
        now: Moment,
        stream: usize,
        network: &mut Network,
    ) -> Result<(), Option<ServerEnd>> {
        if network.is_lost(now, stream) {
            return Err(None);
        }
        while let Some(message) = network.at_server(now, stream) {
            let Some(served) = self.streams.get_mut(&stream) else {
                return Ok(());
            };
            for step in served.session.receive(now, message)? {
                self.take(now, stream, step, network)?;
            }
        }
        let Some(served) = self.streams.get_mut(&stream) else {
            return Ok(());
        };
        served.session.check(now)?;
        let Some((live, admission)) = &served.live else {
            return Ok(());
        };
        if let Some(refused) = admission.end.borrow().clone() {
            return Err(Some(ServerEnd::Refused(refused)));
        }
        if served.holds <= now {
            served.holds = now + HOLDS;
            let live = live.clone();
            self.fence(&live, gloo_store::Moment::Open)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        now: Moment,
        stream: usize,
        step: ServerStep,
        network: &mut Network,
    ) -> Result<(), ServerEnd> {
        let clock = self.clock(now);
        if let ServerStep::Hello(hello) = step {
            return self.greet(now, stream, &hello, network);
        }
        let Some(served) = self.streams.get_mut(&stream) else {
            return Ok(());
        };
        if let ServerStep::Send(message) = step {
            network.send_down(now, stream, message);
            return Ok(());
        }
        let Some((live, _)) = &served.live else {
            return Ok(());
        };
        match step {
            ServerStep::Observed { changes, .. } => {
                streams::observed(&self.shared, live, &changes, clock);
                if let Some(ack) = served.session.taken() {
                    network.send_down(now, stream, ack);
                }
            }
            ServerStep::Acked(_) => streams::heard(&self.shared, live, clock),
            ServerStep::Results(results) => streams::results(&self.shared, live, results),
            ServerStep::Hello(_) | ServerStep::Send(_) => {}
        }
        Ok(())
    }

    fn greet(
        &mut self,
        now: Moment,
        stream: usize,
        hello: &Hello,
        network: &mut Network,
    ) -> Result<(), ServerEnd> {
        let name = hello.cluster_uid.trim_start_matches("uid-");
        let cluster: ClusterName = name.parse().unwrap();
        let claim = Claim {
            instance: hello.instance.clone(),
            started_ms: hello.started_ms,
        };
        let before = self.streams.iter().find_map(|(number, served)| {
            let (live, _) = served.live.as_ref()?;
            (live.cluster == cluster).then(|| (*number, live.claim.clone()))
        });
        if let Some((number, other)) = before {
            if !outranks(&claim, &other) {
                return Err(ServerEnd::Refused(fenced(&cluster, &other)));
            }
            let end = ServerEnd::Refused(fenced(&cluster, &claim));
            self.end(now, number, Some(end), network);
        }
        self.numbers += 1;
        let live = Stream {
            id: self.numbers,
            cluster: cluster.clone(),
            claim,
        };
        self.fence(&live, gloo_store::Moment::Opening)?;
        let peer = Peer {
            cluster,
            cluster_uid: hello.cluster_uid.clone(),
            epoch: 0,
            not_before: 0,
            not_after: 0,
        };
        let admission = streams::admit(&self.shared, &live, &peer, self.clock(now));
        let mut admission = admission.map_err(ServerEnd::Refused)?;
        let held = std::mem::take(&mut admission.held);
        if let Some(served) = self.streams.get_mut(&stream) {
            let welcome = served.session.admit(held, "1", &self.shared.instance);
            served.live = Some((live, admission));
            network.send_down(now, stream, welcome);
        }
        Ok(())
    }

    /// Without Redis nobody is refused.
    fn fence(&self, stream: &Stream, when: gloo_store::Moment) -> Result<(), ServerEnd> {
        if self.variant == Variant::Unfenced {
            return Ok(());
        }
        let ours = Holder {
            instance: stream.claim.instance.clone(),
            started_ms: stream.claim.started_ms,
            stream: format!("{}/{}", self.shared.instance, stream.id),
        };
        let mut redis = self.redis.lock().unwrap_or_else(PoisonError::into_inner);
        let word = redis.ask(&stream.cluster, &ours, when);
        word.map_or(Ok(()), |word| verdict(stream, word))
            .map_err(ServerEnd::Refused)
    }

    fn push(&mut self, now: Moment, stream: usize, network: &mut Network) -> Result<(), ServerEnd> {
        let Some(served) = self.streams.get_mut(&stream) else {
            return Ok(());
        };
        let Some((_, admission)) = &served.live else {
            return Ok(());
        };
        let desired = admission.desired.borrow();
        while let Some(message) = served.session.poll(now, desired.as_ref())? {
            network.send_down(now, stream, message);
        }
        Ok(())
    }

    fn keep(&mut self, now: Moment) {
        let unsaved = self.shared.unsaved.notified().now_or_never().is_some();
        let mut round = match self.keeping.take() {
            Some(Keeping::Rest(behind, at)) => {
                let at = if unsaved { at.min(now + GATHER) } else { at };
                if at > now {
                    self.keeping = Some(Keeping::Rest(behind, at));
                    return;
                }
                begin(behind, self.clock(now))
            }
            Some(Keeping::Work(round)) => round,
            None => return,
        };
        let mut context = Context::from_waker(Waker::noop());
        self.keeping = Some(match round.as_mut().poll(&mut context) {
            Poll::Pending => Keeping::Work(round),
            Poll::Ready(behind) => Keeping::Rest(behind, now + LOOK),
        });
        if unsaved {
            // It came while Redis was written to; the next round is for it.
            self.shared.unsaved.notify_one();
        }
    }

    fn let_go(&self, alive: usize, total: usize) {
        let live = self
            .streams
            .values()
            .filter_map(|served| served.live.as_ref());
        let names: Vec<_> = live.map(|(stream, _)| stream.cluster.clone()).collect();
        for name in names.iter().take(surplus(names.len(), total, alive)) {
            self.shared.channels(name, |channels| {
                channels.end.send_replace(Some(Refused {
                    code: Code::Closing.into(),
                    reason: "another replica has fewer clusters".to_owned(),
                }));
            });
        }
    }

    /// Clusters it serves, on which streams.
    pub(crate) fn serves(&self) -> impl Iterator<Item = (&ClusterName, usize)> {
        self.streams.iter().filter_map(|(number, served)| {
            let (live, _) = served.live.as_ref()?;
            served.session.warmed().then_some((&live.cluster, *number))
        })
    }

    pub(crate) fn is_writing(&self) -> bool {
        matches!(self.keeping, Some(Keeping::Work(_)))
    }

    pub(crate) fn due(&self) -> Moment {
        match &self.keeping {
            Some(Keeping::Rest(_, at)) => (*at).min(self.again),
            _ => self.again,
        }
    }
}

fn begin(mut behind: Box<Behind<Connection>>, now: Timestamp) -> Round {
    Box::pin(async move {
        behind.round(now).await;
        behind
    })
}

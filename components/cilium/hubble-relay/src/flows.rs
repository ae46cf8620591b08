//! One client's stream: the flows of all nodes in one order.
//!
//! Everything happens in the client's own task and only when it asks for more. A client that is slow slows the nodes' streams to
//! it and nothing else; one that goes away drops them, which ends them at the nodes.

mod inflow;
mod members;
mod place;
mod tail;

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cilium_hubble::{
    flow::timestamp,
    proto::{
        observer::{GetFlowsResponse, get_flows_response::ResponseTypes},
        relay::NodeStatusEvent,
    },
};
use tokio::{sync::watch, time::sleep_until};
use tonic::Status;

use crate::{
    budget::{Budget, Full},
    merge::Sorting,
    pool::Nodes,
    request::{self, Ask, Part},
    statuses::Statuses,
};
use inflow::{Came, Inflow};
use members::{Join, Members};
use tail::Tail;

/// What the relay calls itself in events of its own.
const RELAY: &str = "hubble-relay";
/// How long a node is waited for, for the sake of order, when it only has to hand over what it has: it is at work, or it would have
/// ended.
const AT_WORK: Duration = Duration::from_secs(5);

/// How long after its end, and after what is held back, a stream that follows waits for nodes that have nothing: they do not notice
/// the end.
const LATE: Duration = Duration::from_secs(5);

/// What all streams have in common.
#[derive(Clone, Debug)]
pub struct Settings {
    pub sorting: Sorting,
    /// How long changes of nodes are gathered before they are said.
    pub window: Duration,
    pub budget: Budget,
    /// How long a node may take for its next flow when it only has to hand over what it has.
    pub stalled: Duration,
}

/// The stream.
pub struct Flows {
    ask: Ask,
    nodes: watch::Receiver<Nodes>,
    members: Members,
    inflow: Inflow,
    statuses: Statuses,
    tail: Option<Tail>,
    stalled: Duration,
    /// When a stream that follows ends.
    until: Option<Instant>,
    late: Duration,
    /// How many flows the client still gets; `None` is all.
    left: Option<u64>,
    out: VecDeque<GetFlowsResponse>,
    over: bool,
}

impl Flows {
    /// Asks all nodes that are connected. The first that is said is which those are.
    pub fn new(ask: Ask, mut nodes: watch::Receiver<Nodes>, settings: &Settings) -> Self {
        let (now, start) = (Instant::now(), since_1970());
        let present = if ask.follows() { start } else { i64::MAX };
        let Sorting { capacity, wait } = settings.sorting;
        let sorting = Sorting {
            capacity: capacity.max(nodes.borrow().len()),
            wait: if ask.follows() {
                wait
            } else {
                wait.max(AT_WORK)
            },
        };
        let (tail, left) = match ask.part {
            Part::First(number) => (None, Some(number)),
            Part::Last(number) => (Some(Tail::whole(number, settings.budget.share())), None),
            Part::Follow(Some(number)) => {
                let until = now + wait;
                let share = settings.budget.share();
                (Some(Tail::before(number, start, until, share)), None)
            }
            Part::All | Part::Follow(None) => (None, None),
        };
        let until = ask.until().filter(|_| ask.follows()).and_then(|until| {
            let nanos = u64::try_from(until.saturating_sub(start)).unwrap_or_default();
            now.checked_add(Duration::from_nanos(nanos))
        });
        let (members, joins) = Members::first(&nodes.borrow_and_update(), &ask, start);
        let mut flows = Self {
            members,
            nodes,
            inflow: Inflow::new(sorting, present),
            statuses: Statuses::new(settings.window),
            tail,
            stalled: settings.stalled,
            until,
            late: LATE + wait,
            left,
            out: VecDeque::new(),
            over: false,
            ask,
        };
        flows.members.introduce(&mut flows.statuses, now);
        flows.say_all();
        for join in joins {
            flows.join(join, now);
        }
        flows
    }

    /// The next answer. `None` when there is none left, which under `follow` is hardly ever.
    pub async fn next(&mut self) -> Option<Result<GetFlowsResponse, Status>> {
        loop {
            self.tend();
            self.read_what_is_ready().await;
            match self.answer(Instant::now()) {
                Ok(None) if self.over => return None,
                Ok(None) => self.wait().await,
                Ok(Some(answer)) => return Some(Ok(self.ask.answer(answer))),
                Err(full) => {
                    self.end();
                    return Some(Err(Status::resource_exhausted(full.to_string())));
                }
            }
        }
    }

    /// What may leave now.
    fn answer(&mut self, now: Instant) -> Result<Option<GetFlowsResponse>, Full> {
        if self.out.is_empty() {
            let due = self.statuses.take(now);
            self.say(due);
        }
        while self.out.is_empty() && !self.over {
            let Some(answer) = self.inflow.pop(now) else {
                self.end_tail(now);
                self.end_if_over(now);
                break;
            };
            self.pass(answer)?;
        }
        Ok(self.out.pop_front())
    }

    fn pass(&mut self, answer: GetFlowsResponse) -> Result<(), Full> {
        if let Some(tail) = &mut self.tail {
            let Some(first) = tail.take(answer)? else {
                return Ok(());
            };
            self.say_tail();
            self.out.push_back(first);
            return Ok(());
        }
        let counts = request::counts(&answer);
        self.out.push_back(answer);
        if let Some(left) = self.left.as_mut().filter(|_| counts) {
            *left -= 1;
            if *left == 0 {
                self.end();
            }
        }
        Ok(())
    }

    fn end_tail(&mut self, now: Instant) {
        let idle = self.inflow.merge().is_empty();
        if self
            .tail
            .as_ref()
            .is_some_and(|tail| idle && tail.is_due(now))
        {
            self.say_tail();
        }
    }

    fn end_if_over(&mut self, now: Instant) {
        let passed = |after| self.until.is_some_and(|until| until + after <= now);
        let over = if self.ask.follows() {
            passed(self.late) || self.inflow.merge().is_over() && passed(Duration::ZERO)
        } else {
            self.inflow.merge().is_over()
        };
        if over {
            self.say_tail();
            self.end();
        }
    }

    fn say_tail(&mut self) {
        let kept = self.tail.take().into_iter().flat_map(Tail::into_answers);
        self.out.extend(kept);
    }

    /// Ends the nodes' streams. What was to be said still is.
    fn end(&mut self) {
        self.over = true;
        self.inflow.clear();
        self.say_all();
    }

    fn say_all(&mut self) {
        let events = self.statuses.take_all();
        self.say(events);
    }

    fn say(&mut self, events: Vec<NodeStatusEvent>) {
        let time = Some(timestamp(since_1970()));
        self.out
            .extend(events.into_iter().map(|event| GetFlowsResponse {
                node_name: RELAY.to_owned(),
                time,
                response_types: Some(ResponseTypes::NodeStatus(event)),
            }));
    }

    /// Waits for a flow, for a change of the nodes, or until something held back may leave.
    async fn wait(&mut self) {
        let due = self.due(Instant::now());
        let follows = self.ask.follows();
        tokio::select! {
            came = self.inflow.next() => self.note(came),
            Ok(()) = self.nodes.changed(), if follows => self.meet(),
            () = until(due) => {}
        }
        self.drop_stalled(Instant::now());
    }

    /// Sees to the nodes, also while there are always flows to answer with.
    fn tend(&mut self) {
        let now = Instant::now();
        let changed = self.nodes.has_changed().unwrap_or_default();
        if self.ask.follows() && (changed || self.members.due().is_some_and(|due| due <= now)) {
            self.meet();
        }
    }

    fn due(&self, now: Instant) -> Option<Instant> {
        let tail = self.tail.as_ref().and_then(Tail::due);
        let stalled = self
            .inflow
            .merge()
            .silent()
            .map(|(since, _)| since + self.stalled);
        [
            self.inflow.merge().due(),
            self.statuses.due(),
            self.members.due(),
            tail.filter(|_| self.inflow.merge().is_empty()),
            stalled.filter(|_| !self.ask.follows()),
            self.until.filter(|until| *until > now),
            self.until.map(|until| until + self.late),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes in all that has arrived: a node whose flow is here is not silent, however long the client let it lie.
    async fn read_what_is_ready(&mut self) {
        self.inflow.read_on();
        while let Some(came) = self.inflow.ready().await {
            self.note(came);
        }
    }

    fn note(&mut self, came: Came) {
        let now = Instant::now();
        match came {
            Came::Answer { source, time } => self.members.gave(&source, time),
            Came::Failed { source, status } => {
                self.members
                    .failed(&source, &status, &mut self.statuses, now);
            }
            Came::Ended { source } => self.members.ended(&source, &mut self.statuses, now),
        }
    }

    /// Looks at the nodes after a change.
    fn meet(&mut self) {
        let now = Instant::now();
        let nodes = self.nodes.borrow_and_update();
        let (left, joins) = self.members.meet(&nodes, &mut self.statuses, now);
        drop(nodes);
        for source in left {
            self.inflow.close(&source);
        }
        for join in joins {
            self.join(join, now);
        }
    }

    fn join(&mut self, join: Join, now: Instant) {
        let Join {
            source,
            channel,
            request,
            abort,
        } = join;
        self.inflow
            .open(source, inflow::ask(channel, request, abort), now);
    }

    fn drop_stalled(&mut self, now: Instant) {
        while !self.ask.follows()
            && let Some((since, source)) = self.inflow.merge().silent()
            && since + self.stalled <= now
        {
            let source = source.clone();
            self.inflow.close(&source);
            self.members.stalled(&source, &mut self.statuses, now);
        }
    }
}

impl std::fmt::Debug for Flows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flows")
            .field("ask", &self.ask)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// Nanoseconds.
fn since_1970() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

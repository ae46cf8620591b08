//! Reads the ring in the order and the range a client asked for.

use std::sync::Arc;

use prost_types::Timestamp;

use super::{Content, Entry, Observer, entry};
use crate::{
    filter::Filters,
    flow::timestamp,
    proto::{
        flow::{LostEvent, LostEventSource},
        observer::{GetAgentEventsRequest, GetDebugEventsRequest, GetFlowsRequest},
    },
    ring::Read,
};

/// How many entries are passed over before other tasks get a turn.
const TURN: u32 = 256;

/// A range nobody can be served with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    #[error("first cannot be specified with follow: there is no first of what is still to come")]
    FirstAndFollow,
    #[error(
        "the time {field} is not one: seconds are from year 1 to 9999, nanos from 0 to 999999999"
    )]
    Time { field: &'static str },
}

/// Which part of the ring, and whether also what is still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// How many, counted from the end or, with `first`, from the beginning; 0 is all. What follows does not count.
    pub number: u64,
    pub first: bool,
    pub follow: bool,
    /// Nanoseconds since 1970.
    pub since: Option<i64>,
    /// Nanoseconds since 1970.
    pub until: Option<i64>,
}

impl Range {
    pub fn of_flows(request: &GetFlowsRequest) -> Result<Self, RangeError> {
        let GetFlowsRequest {
            number,
            first,
            follow,
            since,
            until,
            ..
        } = request;
        Self::new(*number, *first, *follow, since.as_ref(), until.as_ref())
    }

    pub fn of_agent_events(request: &GetAgentEventsRequest) -> Result<Self, RangeError> {
        let GetAgentEventsRequest {
            number,
            first,
            follow,
            since,
            until,
        } = request;
        Self::new(*number, *first, *follow, since.as_ref(), until.as_ref())
    }

    pub fn of_debug_events(request: &GetDebugEventsRequest) -> Result<Self, RangeError> {
        let GetDebugEventsRequest {
            number,
            first,
            follow,
            since,
            until,
        } = request;
        Self::new(*number, *first, *follow, since.as_ref(), until.as_ref())
    }

    fn new(
        number: u64,
        first: bool,
        follow: bool,
        since: Option<&Timestamp>,
        until: Option<&Timestamp>,
    ) -> Result<Self, RangeError> {
        if first && follow {
            return Err(RangeError::FirstAndFollow);
        }
        Ok(Self {
            number,
            first,
            follow,
            since: since.map(|time| nanos("since", time)).transpose()?,
            until: until.map(|time| nanos("until", time)).transpose()?,
        })
    }
}

/// Times beyond the years that nanoseconds can count, 1677 to 2262, are the ends of those years.
fn nanos(field: &'static str, time: &Timestamp) -> Result<i64, RangeError> {
    let valid = (-62_135_596_800..=253_402_300_799).contains(&time.seconds)
        && (0..1_000_000_000).contains(&time.nanos);
    if valid {
        Ok(time
            .seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(time.nanos.into()))
    } else {
        Err(RangeError::Time { field })
    }
}

/// What a client asked for.
#[derive(Debug)]
pub enum Wanted {
    Flows(Filters),
    AgentEvents,
    /// There are none: the datapath of this release has no debug events.
    DebugEvents,
}

impl Wanted {
    fn takes(&self, entry: &Entry, observer: &Observer) -> bool {
        match (self, entry.content()) {
            (Self::Flows(filters), Content::Packet(_)) => {
                filters.is_empty()
                    || entry
                        .flow(observer)
                        .is_some_and(|flow| filters.matches(flow))
            }
            (Self::AgentEvents, Content::Agent(_)) => true,
            (Self::Flows(_), Content::Agent(_) | Content::Lost(_))
            | (Self::AgentEvents, Content::Packet(_) | Content::Lost(_))
            | (Self::DebugEvents, _) => false,
        }
    }
}

/// What a reader comes upon.
#[derive(Debug)]
pub enum Item {
    /// An entry that was asked for.
    Entry(Arc<Entry>),
    /// Events that are gone. They are reported to whoever asked for flows, whatever the filters.
    Lost { time: i64, event: LostEvent },
}

/// Reads for one client.
#[derive(Debug)]
pub struct Reader {
    observer: Arc<Observer>,
    wanted: Wanted,
    range: Range,
    at: u64,
    /// Where it ends without following: what comes later was not there when the client asked.
    end: u64,
    delivered: u64,
}

impl Reader {
    pub fn new(observer: Arc<Observer>, wanted: Wanted, range: Range) -> Self {
        let end = observer.ring.next();
        let mut reader = Self {
            observer,
            wanted,
            range,
            at: end,
            end,
            delivered: 0,
        };
        reader.at = reader.start();
        reader
    }

    /// The next of what was asked for; `now` gives the time for losses this reader notices. Ends with `None`.
    pub async fn next(&mut self, now: impl Fn() -> i64) -> Option<Item> {
        let mut passed = 0u32;
        loop {
            if self.is_done() {
                return None;
            }
            passed += 1;
            if passed.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
            match self.observer.ring.read(self.at) {
                Read::NotYet => {
                    let observer = Arc::clone(&self.observer);
                    observer.ring.written(self.at).await;
                }
                Read::Lost { oldest } => {
                    let count = oldest - self.at;
                    self.at = oldest;
                    self.observer.missed(count);
                    return Some(ring_loss(now(), count));
                }
                Read::Event(entry) => {
                    self.at += 1;
                    if self.is_past(&entry) {
                        return None;
                    }
                    if let Some(item) = self.take(entry) {
                        return Some(item);
                    }
                }
            }
        }
    }

    fn take(&mut self, entry: Arc<Entry>) -> Option<Item> {
        if let Content::Lost(lost) = entry.content() {
            let event = entry::lost_event(lost);
            return matches!(self.wanted, Wanted::Flows(_)).then_some(Item::Lost {
                time: lost.time,
                event,
            });
        }
        let early = self.range.since.is_some_and(|since| entry.time() < since);
        if early || !self.wanted.takes(&entry, &self.observer) {
            return None;
        }
        self.delivered += 1;
        Some(Item::Entry(entry))
    }

    fn is_done(&self) -> bool {
        let enough = self.range.number > 0 && self.delivered >= self.range.number;
        !self.range.follow && (enough || self.at >= self.end)
    }

    fn is_past(&self, entry: &Entry) -> bool {
        let lost = matches!(entry.content(), Content::Lost(_));
        !lost && self.range.until.is_some_and(|until| entry.time() > until)
    }

    /// Goes back from the end, past as many as were asked for or to the time that was asked for.
    fn start(&self) -> u64 {
        let Range {
            number,
            first,
            follow,
            since,
            ..
        } = self.range;
        let ring = &self.observer.ring;
        if since.is_none() && (first || (number == 0 && !follow)) {
            return ring.oldest();
        }
        if since.is_none() && number == 0 {
            return self.end;
        }
        let mut found = 0;
        for at in (ring.oldest()..self.end).rev() {
            let Read::Event(entry) = ring.read(at) else {
                return at + 1;
            };
            if !self.wanted.takes(&entry, &self.observer) {
                continue;
            }
            found += 1;
            match since {
                Some(since) if entry.time() < since => return at + 1,
                None if found == number => return at,
                Some(_) | None => {}
            }
        }
        ring.oldest()
    }
}

fn ring_loss(time: i64, count: u64) -> Item {
    let event = LostEvent {
        source: LostEventSource::HubbleRingBuffer.into(),
        num_events_lost: count,
        cpu: None,
        first: Some(timestamp(time)),
        last: Some(timestamp(time)),
    };
    Item::Lost { time, event }
}

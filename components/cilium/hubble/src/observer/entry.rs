//! One entry of the ring.

use std::{
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};

use super::Observer;
use crate::{
    event::{Lost, LostAt, PacketEvent},
    flow::{self, Parties},
    proto::flow::{AgentEvent, Flow, LostEvent, LostEventSource},
};

/// What was recorded, with its number and its time.
#[derive(Debug)]
pub struct Entry {
    number: u64,
    time: i64,
    content: Content,
    /// Made for the first who reads it and kept for the others.
    flow: OnceLock<Box<Flow>>,
}

/// What an entry is about.
#[derive(Debug)]
pub enum Content {
    Packet(Box<(PacketEvent, Parties)>),
    Lost(Lost),
    Agent(Box<AgentEvent>),
}

impl Entry {
    pub(super) fn packet(number: u64, event: PacketEvent, parties: Parties) -> Self {
        Self::new(
            number,
            event.time,
            Content::Packet(Box::new((event, parties))),
        )
    }

    pub(super) fn lost(number: u64, lost: Lost) -> Self {
        Self::new(number, lost.time, Content::Lost(lost))
    }

    pub(super) fn agent(number: u64, time: i64, event: AgentEvent) -> Self {
        Self::new(number, time, Content::Agent(Box::new(event)))
    }

    fn new(number: u64, time: i64, content: Content) -> Self {
        Self {
            number,
            time,
            content,
            flow: OnceLock::new(),
        }
    }

    /// Nanoseconds since 1970.
    pub fn time(&self) -> i64 {
        self.time
    }

    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The flow, if this is about a packet. It is the same for everybody who asks.
    pub fn flow(&self, observer: &Observer) -> Option<&Flow> {
        let Content::Packet(packet) = &self.content else {
            return None;
        };
        Some(self.flow.get_or_init(|| {
            let (event, parties) = &**packet;
            let mut flow = flow::build_with(event, parties, &*observer.names);
            observer
                .origin
                .mark(&mut flow, uuid(observer.nonce, self.number));
            Box::new(flow)
        }))
    }
}

/// A loss in the protocol's form.
pub(super) fn lost_event(lost: &Lost) -> LostEvent {
    let source = match lost.place {
        LostAt::KernelBuffer => LostEventSource::PerfEventRingBuffer,
        LostAt::Queue => LostEventSource::ObserverEventsQueue,
    };
    LostEvent {
        source: source.into(),
        num_events_lost: lost.count,
        cpu: lost.cpu,
        first: None,
        last: None,
    }
}

/// Different for each start, so that flows of two starts have different uuids.
pub(super) fn nonce() -> u128 {
    let random = || u128::from(RandomState::new().hash_one(0u8));
    random() << 64 | random()
}

/// Version 8 of RFC 9562: what the bits are is our own affair.
fn uuid(nonce: u128, number: u64) -> String {
    let bits = nonce ^ u128::from(number);
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | (8 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

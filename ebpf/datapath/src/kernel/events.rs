use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aya::maps::{MapData, RingBuf};
use datapath_abi::event::{self as abi, DROP, IS_REPLY, NEW, TRACE, VERDICT};
use datapath_abi::metric;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::State;
use super::epoch;
use crate::{Direction, Error, Event, EventKind, EventSource};

/// How long an event may wait in the ring: the programs wake the reader only when much has gathered.
const LOOK: Duration = Duration::from_millis(100);

/// A reader of the ring; dropping it stops the events.
pub(super) struct Reader {
    ring: RingBuf<MapData>,
    state: Arc<Mutex<State>>,
    taken: Arc<AtomicBool>,
}

impl Reader {
    pub(super) fn start(state: &Arc<Mutex<State>>, taken: &Arc<AtomicBool>) -> Result<Self, Error> {
        if taken.swap(true, Ordering::AcqRel) {
            return Err(Error::EventsTaken);
        }
        let mut held = super::lock(state);
        let started = held
            .maps
            .open_events()
            .and_then(|ring| epoch::set_events(&mut held.maps, true).map(|()| ring));
        drop(held);
        match started {
            Ok(ring) => Ok(Self {
                ring,
                state: Arc::clone(state),
                taken: Arc::clone(taken),
            }),
            Err(error) => {
                taken.store(false, Ordering::Release);
                Err(error)
            }
        }
    }

    fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(record) = self.ring.next() {
            events.extend(read(&record));
        }
        events
    }
}

impl EventSource for Reader {
    fn next(&mut self, wait: Duration) -> Result<Vec<Event>, Error> {
        let end = Instant::now() + wait;
        loop {
            let events = self.drain();
            let left = end.saturating_duration_since(Instant::now());
            if !events.is_empty() || left.is_zero() {
                return Ok(events);
            }
            let milliseconds = u16::try_from(left.min(LOOK).as_millis().max(1)).unwrap_or(1);
            let mut fds = [PollFd::new(self.ring.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(milliseconds)) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(Error::Events(errno.into())),
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Whoever opens the datapath next sets it right; until then the programs fill the ring and count what does not fit.
        if let Err(error) = epoch::set_events(&mut super::lock(&self.state).maps, false) {
            tracing::warn!(%error, "the programs go on making events");
        }
        self.taken.store(false, Ordering::Release);
    }
}

/// `None`: a record of another build, which the pin path's version rules out.
fn read(record: &[u8]) -> Option<Event> {
    let number = |at: usize| {
        record
            .get(at..at + 4)
            .map(|b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
    };
    let short = |at: usize| {
        record
            .get(at..at + 2)
            .map(|b| u16::from_ne_bytes([b[0], b[1]]))
    };
    let byte = |at: usize| record.get(at).copied();
    macro_rules! at {
        ($field:ident) => {
            std::mem::offset_of!(abi::Event, $field)
        };
    }
    let time = record.get(at!(time)..at!(time) + 8)?;
    let code = byte(at!(code))?;
    let kind = match byte(at!(kind))? {
        DROP => EventKind::Drop { reason: code },
        TRACE => EventKind::Trace { point: code },
        VERDICT => EventKind::PolicyVerdict {
            denied: (code != 0).then_some(code),
        },
        _ => return None,
    };
    let bits = byte(at!(bits))?;
    let packet = record.get(at!(packet)..)?;
    let captured = usize::from(short(at!(captured))?).min(packet.len());
    Some(Event {
        kind,
        time: Duration::from_nanos(u64::from_ne_bytes(time.try_into().ok()?)),
        direction: if byte(at!(direction))? == metric::EGRESS {
            Direction::Egress
        } else {
            Direction::Ingress
        },
        endpoint: short(at!(endpoint))?,
        source_identity: number(at!(source))?,
        destination_identity: number(at!(destination))?,
        cookie: number(at!(cookie))?,
        match_type: byte(at!(match_type))?,
        is_reply: bits & IS_REPLY != 0,
        is_new: bits & NEW != 0,
        ifindex: number(at!(ifindex))?,
        length: number(at!(length))?,
        packet: packet[..captured].to_vec(),
    })
}

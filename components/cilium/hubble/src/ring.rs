//! A ring of the newest events: one writer, any number of readers, and nobody waits for a reader.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

/// How many events a ring keeps: one less than a power of two, as Hubble counts, because one slot is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity(usize);

/// A capacity no ring has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the flow buffer cannot hold {asked} events: choose 1 to {}",
    Capacity::MAX
)]
pub struct CapacityError {
    pub asked: usize,
}

impl Capacity {
    const MAX: usize = u16::MAX as usize;

    /// The least capacity that holds `events`.
    pub fn at_least(events: usize) -> Result<Self, CapacityError> {
        if (1..=Self::MAX).contains(&events) {
            Ok(Self((events + 1).next_power_of_two() - 1))
        } else {
            Err(CapacityError { asked: events })
        }
    }

    pub fn events(self) -> usize {
        self.0
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self(4095)
    }
}

#[derive(Debug)]
struct Numbered<T> {
    number: u64,
    value: Arc<T>,
}

/// The shared part. Events are numbered from 0 in the order they were written.
#[derive(Debug)]
pub struct Ring<T> {
    slots: Box<[ArcSwapOption<Numbered<T>>]>,
    written: AtomicU64,
    more: Notify,
}

/// The writing end. There is one.
#[derive(Debug)]
pub struct RingWriter<T> {
    ring: Arc<Ring<T>>,
}

/// What is at a place in the ring.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<T> {
    Event(Arc<T>),
    /// Overwritten. The oldest event left has this number.
    Lost {
        oldest: u64,
    },
    /// Not written yet.
    NotYet,
}

/// Makes a ring and its only writer.
pub fn new<T>(capacity: Capacity) -> (Arc<Ring<T>>, RingWriter<T>) {
    let ring = Arc::new(Ring {
        slots: (0..=capacity.events())
            .map(|_| ArcSwapOption::empty())
            .collect(),
        written: AtomicU64::new(0),
        more: Notify::new(),
    });
    let writer = RingWriter {
        ring: Arc::clone(&ring),
    };
    (ring, writer)
}

impl<T> RingWriter<T> {
    /// Writes an event over the oldest one, and returns its number.
    pub fn write(&mut self, event: impl FnOnce(u64) -> T) -> u64 {
        let ring = &self.ring;
        let number = ring.written.load(Ordering::Relaxed);
        let numbered = Numbered {
            number,
            value: Arc::new(event(number)),
        };
        ring.slot(number).store(Some(Arc::new(numbered)));
        ring.written.store(number + 1, Ordering::Release);
        ring.more.notify_waiters();
        number
    }
}

impl<T> Ring<T> {
    /// The number the next event will have.
    pub fn next(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// The number of the oldest event that can still be read.
    pub fn oldest(&self) -> u64 {
        self.next().saturating_sub(self.capacity())
    }

    /// How many events can be read.
    pub fn len(&self) -> u64 {
        self.next().min(self.capacity())
    }

    pub fn is_empty(&self) -> bool {
        self.next() == 0
    }

    pub fn capacity(&self) -> u64 {
        self.slots.len() as u64 - 1
    }

    /// Reads the event with this number.
    pub fn read(&self, number: u64) -> Read<T> {
        if number >= self.next() {
            return Read::NotYet;
        }
        match self.slot(number).load().as_deref() {
            Some(found) if found.number == number => Read::Event(Arc::clone(&found.value)),
            Some(_) | None => Read::Lost {
                oldest: self.oldest(),
            },
        }
    }

    /// Waits until the event with this number is written.
    pub async fn written(&self, number: u64) {
        loop {
            // Registered before the look, so that a write between the two is not missed.
            let more = self.more.notified();
            if number < self.next() {
                return;
            }
            more.await;
        }
    }

    fn slot(&self, number: u64) -> &ArcSwapOption<Numbered<T>> {
        let slots = self.slots.len() as u64;
        // A power of two, so this is the low bits; it fits because the number of slots does.
        let index = usize::try_from(number & (slots - 1)).unwrap_or_default();
        &self.slots[index]
    }
}

#[cfg(test)]
mod tests;

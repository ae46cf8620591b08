//! Puts the streams of many nodes in the order of time. Pure: the clock comes in as an argument.
//!
//! An item leaves when no node can have an earlier one: each has shown its next, or has been silent for so long that it is not
//! waited for. Items of the past, which nodes hand over as fast as they can, wait for a node until it has been silent for the whole
//! wait. Items of the present wait no longer than that themselves, and leave at once when the buffer is full: a node would lose
//! newer ones meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// One stream of one node. Items of the same time leave in the order of these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    pub node: Arc<str>,
    /// Tells a stream from the earlier ones of the node.
    pub number: u64,
}

/// How long and how much is held back for the sake of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sorting {
    /// How many items are held before sources that have shown one are read on.
    pub capacity: usize,
    /// How long a silent source is waited for.
    pub wait: Duration,
}

/// The items of all sources that have not left yet.
#[derive(Debug)]
pub struct Merge<T> {
    sorting: Sorting,
    /// Items from this time on, in nanoseconds since 1970, are of the present.
    present: i64,
    sources: BTreeMap<Source, Queue<T>>,
    /// The next item of each source that has one.
    heads: BTreeSet<(i64, Source)>,
    /// The sources that are open and have none, by the time since when.
    silent: BTreeSet<(Instant, Source)>,
    held: usize,
}

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<Item<T>>,
    since: Instant,
    last: i64,
    open: bool,
}

#[derive(Debug)]
struct Item<T> {
    time: i64,
    arrived: Instant,
    value: T,
}

impl<T> Merge<T> {
    /// `present` as nanoseconds since 1970; `i64::MAX` for sources that only hand over what they have and end.
    pub fn new(sorting: Sorting, present: i64) -> Self {
        Self {
            sorting,
            present,
            sources: BTreeMap::new(),
            heads: BTreeSet::new(),
            silent: BTreeSet::new(),
            held: 0,
        }
    }

    /// Waits for this source, too.
    pub fn open(&mut self, source: Source, now: Instant) {
        self.silent.insert((now, source.clone()));
        let queue = Queue {
            items: VecDeque::new(),
            since: now,
            last: i64::MIN,
            open: true,
        };
        self.sources.insert(source, queue);
    }

    /// Waits no longer for this source. What it gave stays.
    pub fn close(&mut self, source: &Source) {
        let Some(queue) = self.sources.get_mut(source) else {
            return;
        };
        queue.open = false;
        if queue.items.is_empty() {
            self.silent.remove(&(queue.since, source.clone()));
            self.sources.remove(source);
        }
    }

    /// The next item of an open source. One without a time has that of the item before it.
    pub fn push(&mut self, source: &Source, time: Option<i64>, value: T, now: Instant) {
        let Some(queue) = self.sources.get_mut(source) else {
            return;
        };
        let time = time.unwrap_or(queue.last);
        queue.last = time;
        if queue.items.is_empty() {
            self.silent.remove(&(queue.since, source.clone()));
            self.heads.insert((time, source.clone()));
        }
        queue.items.push_back(Item {
            time,
            arrived: now,
            value,
        });
        self.held += 1;
    }

    /// Whether more of this source may be read: it is waited for, or there is room.
    pub fn has_room(&self, source: &Source) -> bool {
        self.is_roomy()
            || self
                .sources
                .get(source)
                .is_some_and(|queue| queue.items.is_empty())
    }

    /// Whether more of any source may be read.
    pub fn is_roomy(&self) -> bool {
        self.held < self.sorting.capacity
    }

    /// The next item that may leave.
    pub fn pop(&mut self, now: Instant) -> Option<(Source, T)> {
        if self.due()? > now {
            return None;
        }
        let (_, source) = self.heads.pop_first()?;
        let queue = self.sources.get_mut(&source)?;
        let item = queue.items.pop_front()?;
        self.held -= 1;
        if let Some(next) = queue.items.front() {
            self.heads.insert((next.time, source.clone()));
        } else if queue.open {
            queue.since = now;
            self.silent.insert((now, source.clone()));
        } else {
            self.sources.remove(&source);
        }
        Some((source, item.value))
    }

    /// When the next item may leave if none comes before; a time that has passed when it may already.
    pub fn due(&self) -> Option<Instant> {
        let (time, source) = self.heads.first()?;
        let arrived = self.sources.get(source)?.items.front()?.arrived;
        let Some((silent, _)) = self.silent.last() else {
            return Some(arrived);
        };
        if *time < self.present {
            return Some(*silent + self.sorting.wait);
        }
        if self.held >= self.sorting.capacity {
            return Some(arrived);
        }
        Some(arrived + self.sorting.wait)
    }

    /// The source that has been silent for longest, and since when.
    pub fn silent(&self) -> Option<(Instant, &Source)> {
        self.silent.first().map(|(since, source)| (*since, source))
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Whether nothing is held, and no source can give more.
    pub fn is_over(&self) -> bool {
        self.sources.is_empty()
    }
}

#[cfg(test)]
mod tests;

//! What one cluster has in Redis, by what this sink wrote there.

use std::collections::{HashMap, VecDeque};

use crate::{key::StreamKey, retention::Retention};

/// What Redis takes for a stream besides its entries: its index, and a node of which every entry is gone but one.
const STREAM: u64 = 5 * 1024;
/// What Redis takes for an entry besides its text.
const ENTRY: u64 = 64;
/// How long it is remembered that a record is stored: longer than the collector goes on sending it again.
pub const REMEMBER: u64 = 15 * 60;
/// Records that are remembered of one cluster, 200 bytes each. What comes beyond is stored, and if it is sent again, twice.
const MOST_REMEMBERED: u64 = 500_000;

/// What each cluster may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub streams: u32,
    pub bytes: u64,
}

/// Of what a cluster may have no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("has {limit} streams already")]
    Streams { limit: u32 },
    #[error("has no room left of {limit} bytes in Redis")]
    Bytes { limit: u64 },
    #[error("is one too many: {limit} others have records here")]
    Clusters { limit: usize },
}

/// A record that may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    size: u32,
    /// By how much the cluster has more once it is stored.
    grows: u64,
    /// Whether to remember that it is stored.
    pub remember: bool,
}

/// Streams in use of one cluster and the bytes they take. A stream nobody wrote to for as long as Redis keeps it counts no longer.
#[derive(Debug, Default)]
pub struct Room {
    streams: HashMap<StreamKey, Stream>,
    bytes: u64,
    /// Of entries on their way.
    coming: u64,
    remembered: Remembered,
}

/// Records that Redis remembers.
#[derive(Debug, Default)]
struct Remembered {
    records: u64,
    /// The second from which some of them are forgotten, and how many.
    seconds: VecDeque<(u64, u64)>,
}

#[derive(Debug)]
struct Stream {
    /// The second from which it counts no longer.
    until: u64,
    entries: VecDeque<u32>,
}

impl Room {
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a record of `length` bytes may go into this stream; the stream counts from then on, the record when it is [settled](Self::settle).
    /// One that takes the place of another as large always may.
    pub fn admit(
        &mut self,
        limits: Limits,
        key: &StreamKey,
        retention: &Retention,
        length: usize,
        now: u64,
    ) -> Result<Admitted, Full> {
        let size = size(length);
        let (new, grows) = match self.streams.get(key) {
            Some(stream) => (0, size.saturating_sub(stream.leaves(retention))),
            None if self.streams.len() >= limits.streams as usize => {
                return Err(Full::Streams {
                    limit: limits.streams,
                });
            }
            None => (cost(key), size),
        };
        let more = new + grows;
        if more > 0 && self.bytes + self.coming + more > limits.bytes {
            return Err(Full::Bytes {
                limit: limits.bytes,
            });
        }
        self.bytes += new;
        self.coming += grows;
        let stream = self.streams.entry(key.clone()).or_insert_with(|| Stream {
            until: 0,
            entries: VecDeque::new(),
        });
        stream.until = now + retention.time.as_secs();
        Ok(Admitted {
            size: u32::try_from(size).unwrap_or(u32::MAX),
            grows,
            remember: retention.once && self.remembered.admit(now),
        })
    }

    /// A record that was admitted is in Redis now, or will not come.
    pub fn settle(
        &mut self,
        key: &StreamKey,
        retention: &Retention,
        admitted: Admitted,
        stored: bool,
    ) {
        self.coming = self.coming.saturating_sub(admitted.grows);
        let Some(stream) = self.streams.get_mut(key).filter(|_| stored) else {
            return;
        };
        stream.entries.push_back(admitted.size);
        self.bytes += u64::from(admitted.size);
        while stream.entries.len() > retention.entries as usize {
            let gone = stream.entries.pop_front().unwrap_or_default();
            self.bytes = self.bytes.saturating_sub(u64::from(gone));
        }
    }

    /// Takes off what Redis keeps no longer; whether nothing is left.
    pub fn forget(&mut self, now: u64) -> bool {
        let bytes = &mut self.bytes;
        self.streams.retain(|key, stream| {
            let stays = now < stream.until;
            if !stays {
                let entries: u64 = stream.entries.iter().copied().map(u64::from).sum();
                *bytes = bytes.saturating_sub(entries + cost(key));
            }
            stays
        });
        self.streams.is_empty()
    }
}

impl Remembered {
    /// Whether one more may be; it counts from then on.
    fn admit(&mut self, now: u64) -> bool {
        while let Some((until, records)) = self.seconds.front().copied()
            && until <= now
        {
            self.seconds.pop_front();
            self.records = self.records.saturating_sub(records);
        }
        if self.records >= MOST_REMEMBERED {
            return false;
        }
        self.records += 1;
        match self.seconds.back_mut() {
            Some((until, records)) if *until == now + REMEMBER => *records += 1,
            _ => self.seconds.push_back((now + REMEMBER, 1)),
        }
        true
    }
}

impl Stream {
    /// Bytes that go when one more comes.
    fn leaves(&self, retention: &Retention) -> u64 {
        let full = self.entries.len() >= retention.entries as usize;
        let first = self.entries.front().filter(|_| full);
        first.copied().map_or(0, u64::from)
    }
}

/// Redis' allocator has four sizes between a power of two and the next.
fn size(length: usize) -> u64 {
    let size = length as u64 + ENTRY;
    size.next_multiple_of(size.next_power_of_two() / 8)
}

fn cost(key: &StreamKey) -> u64 {
    STREAM + key.as_str().len() as u64
}

use std::fmt;
use std::net::Ipv4Addr;

use datapath_abi::maglev;
use serde::{Deserialize, Serialize};

use super::Backend;

/// How connections from outside are spread over backends so that every node spreads them alike.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maglev {
    pub(crate) slots: u32,
    pub(crate) key: maglev::Key,
}

/// The key is a secret.
impl fmt::Debug for Maglev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maglev")
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

impl Maglev {
    /// The numbers of slots a table may have. Only with a prime does every backend get round to each slot.
    pub const SIZES: [u32; 10] = [
        251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071,
    ];

    /// `None`: not one of [`Self::SIZES`]. Nodes with the same seed choose alike.
    pub fn new(slots: u32, seed: [u8; 12]) -> Option<Self> {
        let mut halves = [[0; 8]; 2];
        for (place, byte) in halves.as_flattened_mut().iter_mut().zip(seed) {
            *place = byte;
        }
        let key = halves.map(u64::from_le_bytes);
        Self::SIZES.contains(&slots).then_some(Self { slots, key })
    }

    /// Slots of a table.
    pub fn slots(self) -> u32 {
        self.slots
    }

    /// Whether a table of so many backends is of use: with more of them than slots, some would get no connection at all.
    pub fn suits(self, backends: usize) -> bool {
        backends > 1 && u32::try_from(backends).is_ok_and(|backends| backends <= self.slots)
    }

    /// For each slot the index of the backend that has it. In whatever order backends are given, each has the same slots. Of more
    /// backends than slots the last have none; without backends there is no table.
    pub fn table(self, backends: &[Backend]) -> Vec<u16> {
        let mut turns: Vec<(Backend, Turn)> = backends
            .iter()
            .zip(0..=u16::MAX)
            .map(|(backend, index)| (*backend, self.turn(*backend, index)))
            .collect();
        turns.sort_by_key(|(backend, _)| *backend);
        if turns.is_empty() {
            return Vec::new();
        }
        let mut table = vec![None; self.slots as usize];
        let mut free = table.len();
        while free > 0 {
            for (_, turn) in turns.iter_mut().take(free) {
                turn.take_next(&mut table);
                free -= 1;
            }
        }
        table.into_iter().flatten().collect()
    }

    fn turn(self, backend: Backend, index: u16) -> Turn {
        let slots = u64::from(self.slots);
        let address = network_order(backend.ip);
        let hash = maglev::of_backend(self.key, address, backend.port.to_be());
        Turn {
            index,
            next: ((hash >> 32) % slots) as usize,
            step: ((hash.rotate_left(32) >> 32) % (slots - 1)) as usize + 1,
        }
    }
}

fn network_order(ip: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(ip.octets())
}

/// A backend's walk over all slots, in an order of its own.
struct Turn {
    index: u16,
    next: usize,
    step: usize,
}

impl Turn {
    /// There must be a free one.
    fn take_next(&mut self, table: &mut [Option<u16>]) {
        let size = table.len();
        loop {
            let slot = &mut table[self.next];
            self.next = (self.next + self.step) % size;
            if slot.is_none() {
                *slot = Some(self.index);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;

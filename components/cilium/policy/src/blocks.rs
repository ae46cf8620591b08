//! Numbers of the prefixes policies name.
//!
//! The kernel knows of an address only its longest registered prefix. Networks and their exceptions are registered alike, so
//! every registered prefix lies on one side of each of them, and to choose addresses is to choose prefixes.

use std::{collections::BTreeMap, collections::BTreeSet, net::Ipv4Addr};

use ipnet::Ipv4Net;

const LAST: u32 = (1 << 24) - 1;

/// Prefixes in use, their numbers, and who still needs them.
#[derive(Debug)]
pub(crate) struct Blocks {
    numbers: BTreeMap<Ipv4Net, u32>,
    users: BTreeMap<Ipv4Net, usize>,
    /// From before, not yet claimed.
    remembered: BTreeMap<Ipv4Net, u32>,
    taken: BTreeSet<u32>,
    next: u32,
}

/// What [`Blocks::settle`] changed.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) added: BTreeMap<Ipv4Net, u32>,
    pub(crate) removed: BTreeMap<Ipv4Net, u32>,
}

impl Blocks {
    /// With numbers from before; of two prefixes with one number the second gets another.
    pub(crate) fn new(before: BTreeMap<Ipv4Net, u32>) -> Self {
        let mut taken = BTreeSet::new();
        let remembered: BTreeMap<_, _> = before
            .into_iter()
            .filter(|(_, n)| (1..=LAST).contains(n) && taken.insert(*n))
            .collect();
        let next = taken.last().map_or(1, |n| n % LAST + 1);
        Self {
            numbers: BTreeMap::new(),
            users: BTreeMap::new(),
            remembered,
            taken,
            next,
        }
    }

    pub(crate) fn numbers(&self) -> &BTreeMap<Ipv4Net, u32> {
        &self.numbers
    }

    pub(crate) fn acquire(&mut self, prefix: Ipv4Net) {
        *self.users.entry(prefix).or_default() += 1;
    }

    pub(crate) fn release(&mut self, prefix: Ipv4Net) {
        if let Some(users) = self.users.get_mut(&prefix) {
            *users -= 1;
            if *users == 0 {
                self.users.remove(&prefix);
            }
        }
    }

    /// Prefixes the kernel holds at most on its way from those it has to those that are needed.
    pub(crate) fn peak(&self) -> usize {
        let new = self
            .users
            .keys()
            .filter(|prefix| !self.numbers.contains_key(prefix));
        self.numbers.len() + new.count()
    }

    /// Whether it is among these.
    pub(crate) fn holds(&self, prefix: Ipv4Net) -> bool {
        self.numbers.contains_key(&prefix) || self.users.contains_key(&prefix)
    }

    /// Gives numbers to prefixes that are now needed and takes those of the others back.
    pub(crate) fn settle(&mut self) -> Settled {
        let mut settled = Settled::default();
        let unneeded = |prefix: &Ipv4Net| !self.users.contains_key(prefix);
        let gone: Vec<_> = self.numbers.keys().copied().filter(unneeded).collect();
        for prefix in gone {
            if let Some(number) = self.numbers.remove(&prefix) {
                self.taken.remove(&number);
                settled.removed.insert(prefix, number);
            }
        }
        let new: Vec<_> = self
            .users
            .keys()
            .copied()
            .filter(|p| !self.numbers.contains_key(p))
            .collect();
        for prefix in new {
            if let Some(number) = self.remembered.remove(&prefix).or_else(|| self.fresh()) {
                self.numbers.insert(prefix, number);
                settled.added.insert(prefix, number);
            }
        }
        settled
    }

    /// The next number nobody has; a number just given back comes again last. `None` when all are taken.
    fn fresh(&mut self) -> Option<u32> {
        if self.taken.len() >= LAST as usize {
            return None;
        }
        while !self.taken.insert(self.next) {
            self.next = self.next % LAST + 1;
        }
        let number = self.next;
        self.next = number % LAST + 1;
        Some(number)
    }

    /// Numbers of the registered prefixes in `network` that are in none of `except`. None at all as long as one of these is
    /// not registered itself.
    pub(crate) fn chosen(&self, network: Ipv4Net, except: &BTreeSet<Ipv4Net>) -> Vec<u32> {
        let mut bounds = except.iter().chain([&network]);
        if bounds.any(|prefix| !self.numbers.contains_key(prefix)) {
            return Vec::new();
        }
        let first = Ipv4Net::from(network.network());
        let candidates = self
            .numbers
            .range(shortest(first.addr())..=Ipv4Net::from(network.broadcast()));
        candidates
            .filter(|(prefix, _)| {
                network.contains(*prefix) && !except.iter().any(|e| e.contains(*prefix))
            })
            .map(|(_, number)| *number)
            .collect()
    }
}

/// The first prefix in order that begins at an address.
fn shortest(address: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new(address, 0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn settled(blocks: &mut Blocks, prefixes: &[&str]) -> BTreeMap<Ipv4Net, u32> {
        for prefix in prefixes {
            blocks.acquire(net(prefix));
        }
        blocks.settle().added
    }

    #[test]
    fn a_prefix_keeps_the_number_it_had_before_and_new_ones_get_others() {
        let before = BTreeMap::from([
            (net("10.0.0.0/8"), 7),
            (net("10.1.0.0/16"), 7),
            (net("10.2.0.0/16"), 0),
        ]);
        let mut blocks = Blocks::new(before);
        let added = settled(&mut blocks, &["10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16"]);
        assert_eq!(added[&net("10.0.0.0/8")], 7);
        let distinct: BTreeSet<_> = added.values().collect();
        assert_eq!((distinct.len(), distinct.contains(&0)), (3, false));
    }

    #[test]
    fn a_prefix_stays_as_long_as_one_needs_it_and_its_number_does_not_come_again_at_once() {
        let mut blocks = Blocks::new(BTreeMap::new());
        settled(&mut blocks, &["10.0.0.0/8", "10.0.0.0/8"]);
        blocks.release(net("10.0.0.0/8"));
        assert!(blocks.settle().removed.is_empty());
        blocks.release(net("10.0.0.0/8"));
        assert_eq!(blocks.settle().removed, [(net("10.0.0.0/8"), 1)].into());
        assert_eq!(
            settled(&mut blocks, &["10.0.0.0/9"]),
            [(net("10.0.0.0/9"), 2)].into()
        );
    }

    #[test]
    fn a_network_chooses_the_prefixes_in_it_but_not_those_in_its_exceptions() {
        let mut blocks = Blocks::new(BTreeMap::new());
        let numbers = settled(
            &mut blocks,
            &[
                "0.0.0.0/0",
                "10.0.0.0/8",
                "10.1.0.0/16",
                "10.1.2.0/24",
                "11.0.0.0/8",
            ],
        );
        let chosen = blocks.chosen(net("10.0.0.0/8"), &[net("10.1.0.0/16")].into());
        assert_eq!(chosen, [numbers[&net("10.0.0.0/8")]]);
        assert_eq!(blocks.chosen(net("0.0.0.0/0"), &BTreeSet::new()).len(), 5);
    }
}

//! The cluster pool: which part of it is free. Pure.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;

/// Networks that podCIDRs are taken from, cut into blocks of one size.
#[derive(Clone, Debug)]
pub struct Pool {
    networks: Vec<Ipv4Net>,
    mask: u8,
}

/// Why a pool cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// A network is smaller than one block.
    #[error(
        "{network} is smaller than one node's share of /{mask}; give a larger network or a longer mask size"
    )]
    TooSmall {
        /// The network.
        network: Ipv4Net,
        /// Prefix length of a block.
        mask: u8,
    },
    /// Two networks share addresses.
    #[error("{a} and {b} overlap; each address may be in one network of the pool only")]
    Overlap {
        /// One network.
        a: Ipv4Net,
        /// The other.
        b: Ipv4Net,
    },
}

impl Pool {
    /// A pool of `networks` in blocks of `/mask`.
    pub fn new(networks: &[Ipv4Net], mask: u8) -> Result<Self, PoolError> {
        let networks: Vec<Ipv4Net> = networks.iter().map(Ipv4Net::trunc).collect();
        for (i, &a) in networks.iter().enumerate() {
            if a.prefix_len() > mask {
                return Err(PoolError::TooSmall { network: a, mask });
            }
            if let Some(&b) = networks[i + 1..].iter().find(|b| overlap(a, **b)) {
                return Err(PoolError::Overlap { a, b });
            }
        }
        Ok(Self { networks, mask })
    }

    /// Whether the whole of `net` lies inside the pool.
    pub fn contains(&self, net: Ipv4Net) -> bool {
        self.networks.iter().any(|n| n.contains(&net))
    }

    /// Whether `net` lies inside the pool and is at most one node's share.
    pub fn is_share(&self, net: Ipv4Net) -> bool {
        net.prefix_len() >= self.mask && self.contains(net)
    }

    /// The first block that shares no address with anything taken.
    pub fn first_free(&self, taken: &Taken) -> Option<Ipv4Net> {
        self.networks
            .iter()
            .find_map(|&network| self.first_free_in(network, taken))
    }

    fn first_free_in(&self, network: Ipv4Net, taken: &Taken) -> Option<Ipv4Net> {
        let size = 1u64 << (32 - self.mask);
        let (mut at, end) = (first(network), last(network));
        while at <= end {
            let block = Ipv4Net::new(address(at)?, self.mask).ok()?;
            match taken.overlapping(block) {
                None => return Some(block),
                // Jump behind what is in the way, to the next block boundary.
                Some(other) => at = (last(other) + 1).max(at + size).div_ceil(size) * size,
            }
        }
        None
    }

    /// Number of blocks in the pool, and how many of them are free.
    pub fn blocks(&self, taken: &Taken) -> (u64, u64) {
        let size = 1u64 << (32 - self.mask);
        let total: u64 = self
            .networks
            .iter()
            .map(|&n| (last(n) - first(n) + 1) / size)
            .sum();
        let used: u64 = self
            .networks
            .iter()
            .map(|&n| taken.blocks_touched(n, size))
            .sum();
        (total, total.saturating_sub(used))
    }

    /// Pod addresses in one block, without its network and broadcast address and the node's router.
    pub fn addresses_per_block(&self) -> u64 {
        (1u64 << (32 - self.mask)).saturating_sub(3)
    }
}

/// Networks that have an owner; no two of them share an address.
#[derive(Clone, Debug, Default)]
pub struct Taken(BTreeMap<u64, Ipv4Net>);

impl Taken {
    /// A member that shares addresses with `net`.
    pub fn overlapping(&self, net: Ipv4Net) -> Option<Ipv4Net> {
        let before = self.0.range(..=last(net)).next_back().map(|(_, &n)| n);
        before.filter(|&n| last(n) >= first(net))
    }

    /// Adds `net`, unless a member overlaps; then that member.
    pub fn insert(&mut self, net: Ipv4Net) -> Result<(), Ipv4Net> {
        if let Some(other) = self.overlapping(net) {
            return Err(other);
        }
        self.0.insert(first(net), net);
        Ok(())
    }

    /// Removes a member.
    pub fn remove(&mut self, net: Ipv4Net) {
        if self.0.get(&first(net)) == Some(&net) {
            self.0.remove(&first(net));
        }
    }

    fn blocks_touched(&self, network: Ipv4Net, size: u64) -> u64 {
        let (start, end) = (first(network), last(network));
        let mut touched = 0;
        let mut counted_to = None;
        for net in self
            .0
            .values()
            .filter(|&&n| first(n) <= end && last(n) >= start)
        {
            let from = (first(*net).max(start) - start) / size;
            let to = (last(*net).min(end) - start) / size;
            let from = counted_to.map_or(from, |c: u64| from.max(c + 1));
            if to >= from {
                touched += to - from + 1;
                counted_to = Some(to);
            }
        }
        touched
    }
}

/// Whether two networks share addresses.
pub fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

fn first(net: Ipv4Net) -> u64 {
    u64::from(u32::from(net.network()))
}

fn last(net: Ipv4Net) -> u64 {
    u64::from(u32::from(net.broadcast()))
}

fn address(number: u64) -> Option<Ipv4Addr> {
    u32::try_from(number).ok().map(Ipv4Addr::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn taken(nets: &[&str]) -> Taken {
        let mut taken = Taken::default();
        for text in nets {
            taken.insert(net(text)).unwrap();
        }
        taken
    }

    #[test]
    fn the_first_free_block_is_given() {
        let pool = Pool::new(&[net("10.244.0.0/16")], 24).unwrap();
        assert_eq!(pool.first_free(&taken(&[])), Some(net("10.244.0.0/24")));
        assert_eq!(
            pool.first_free(&taken(&["10.244.0.0/24", "10.244.1.0/24"])),
            Some(net("10.244.2.0/24"))
        );
        assert_eq!(
            pool.first_free(&taken(&["10.244.0.0/24", "10.244.2.0/24"])),
            Some(net("10.244.1.0/24"))
        );
    }

    #[test]
    fn a_larger_or_smaller_neighbour_of_an_older_mask_is_stepped_over() {
        let pool = Pool::new(&[net("10.244.0.0/16")], 24).unwrap();
        assert_eq!(
            pool.first_free(&taken(&["10.244.0.0/20"])),
            Some(net("10.244.16.0/24"))
        );
        assert_eq!(
            pool.first_free(&taken(&["10.244.0.128/26"])),
            Some(net("10.244.1.0/24"))
        );
    }

    #[test]
    fn the_second_network_is_used_when_the_first_is_full_and_then_there_is_none() {
        let pool = Pool::new(&[net("10.0.0.0/24"), net("10.9.0.0/24")], 24).unwrap();
        assert_eq!(
            pool.first_free(&taken(&["10.0.0.0/24"])),
            Some(net("10.9.0.0/24"))
        );
        assert_eq!(
            pool.first_free(&taken(&["10.0.0.0/24", "10.9.0.0/24"])),
            None
        );
    }

    #[test]
    fn the_end_of_the_address_space_ends_the_search() {
        let pool = Pool::new(&[net("255.255.255.0/24")], 25).unwrap();
        assert_eq!(pool.first_free(&taken(&["255.255.255.0/24"])), None);
    }

    #[test]
    fn a_pool_of_overlapping_or_too_small_networks_is_refused() {
        let overlapping = Pool::new(&[net("10.0.0.0/8"), net("10.1.0.0/16")], 24).unwrap_err();
        assert_eq!(
            overlapping,
            PoolError::Overlap {
                a: net("10.0.0.0/8"),
                b: net("10.1.0.0/16")
            }
        );
        let small = Pool::new(&[net("10.0.0.0/25")], 24).unwrap_err();
        assert_eq!(
            small,
            PoolError::TooSmall {
                network: net("10.0.0.0/25"),
                mask: 24
            }
        );
    }

    #[test]
    fn free_blocks_are_counted_whatever_size_the_owners_have() {
        let pool = Pool::new(&[net("10.244.0.0/16")], 24).unwrap();
        let taken = taken(&[
            "10.244.0.0/24",
            "10.244.1.0/26",
            "10.244.1.64/26",
            "10.244.16.0/20",
            "192.168.0.0/16",
        ]);
        assert_eq!(pool.blocks(&taken), (256, 256 - 1 - 1 - 16));
    }

    proptest! {
        /// The slow reference: every pair compared.
        #[test]
        fn overlap_is_found_exactly_when_some_pair_overlaps(
            members in prop::collection::vec((0u32..64, 26u8..=32), 0..12), probe in (0u32..64, 26u8..=32),
        ) {
            let make = |(host, prefix): (u32, u8)| Ipv4Net::new(Ipv4Addr::from(host * 4), prefix).unwrap().trunc();
            let (mut taken, mut list) = (Taken::default(), Vec::new());
            for member in members.into_iter().map(make) {
                let expected = list.iter().any(|&other| overlap(member, other));
                prop_assert_eq!(taken.insert(member).is_err(), expected);
                if !expected { list.push(member); }
            }
            let probe = make(probe);
            prop_assert_eq!(taken.overlapping(probe).is_some(), list.iter().any(|&other| overlap(probe, other)));
        }

        #[test]
        fn what_is_given_is_free_in_the_pool_and_lowest(members in prop::collection::vec((0u32..64, 26u8..=32), 0..20)) {
            let pool = Pool::new(&[net("0.0.0.0/25"), net("0.0.0.128/26")], 28).unwrap();
            let mut taken = Taken::default();
            for (host, prefix) in members {
                let _ = taken.insert(Ipv4Net::new(Ipv4Addr::from(host * 4), prefix).unwrap().trunc());
            }
            let mut all = (0..12u32).map(|i| Ipv4Net::new(Ipv4Addr::from(i * 16), 28).unwrap());
            prop_assert_eq!(pool.first_free(&taken), all.find(|&block| taken.overlapping(block).is_none()));
        }
    }
}

//! Prefixes that policies name, as the datapath looks addresses up in them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use datapath::Datapath;
use ipnet::Ipv4Net;

use crate::store::Store;

/// What the datapath has, and the nodes' second names.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    written: BTreeMap<Ipv4Net, u32>,
    /// A node's router address and the address its policies know it by. What a node's own processes send through the
    /// tunnel bears the router's.
    routers: Vec<(Ipv4Addr, Ipv4Addr)>,
}

impl Blocks {
    /// As an earlier process left them.
    pub(super) fn read(datapath: &dyn Datapath) -> Result<Self, datapath::Error> {
        Ok(Self {
            written: datapath.blocks()?.into_iter().collect(),
            routers: Vec::new(),
        })
    }

    /// The numbers an earlier process gave. Where its file is not known, those that the datapath still has; of what shares a number
    /// the widest, for a router shares that of its node's prefix.
    pub(super) fn numbers(&self, store: &Store) -> BTreeMap<Ipv4Net, u32> {
        store.prefixes().unwrap_or_else(|| {
            let mut widest = BTreeMap::new();
            for (prefix, number) in &self.written {
                let known = widest.entry(*number).or_insert(*prefix);
                if prefix.prefix_len() < known.prefix_len() {
                    *known = *prefix;
                }
            }
            let all = widest.into_iter();
            all.map(|(number, prefix)| (prefix, number)).collect()
        })
    }

    pub(super) fn set_routers(&mut self, routers: &[(Ipv4Addr, Ipv4Addr)]) {
        routers.clone_into(&mut self.routers);
    }

    /// What the datapath shall have: a router is in the block its node's address is in.
    pub(super) fn wanted(&self, prefixes: &BTreeMap<Ipv4Net, u32>) -> BTreeMap<Ipv4Net, u32> {
        let mut wanted = prefixes.clone();
        for (router, node) in &self.routers {
            if let Some(number) = longest(prefixes, *node) {
                wanted.entry(Ipv4Net::from(*router)).or_insert(number);
            }
        }
        wanted
    }

    /// Writes what is new or different; whether there was anything.
    pub(super) fn add(
        &mut self,
        datapath: &dyn Datapath,
        wanted: &BTreeMap<Ipv4Net, u32>,
        failures: &mut Vec<String>,
    ) -> bool {
        let mut touched = false;
        for (prefix, number) in wanted {
            if self.written.get(prefix) == Some(number) {
                continue;
            }
            touched = true;
            match datapath.upsert_block(*prefix, *number) {
                Ok(()) => {
                    self.written.insert(*prefix, *number);
                }
                Err(error) => failures.push(cilium_cni::error::chain(&error)),
            }
        }
        touched
    }

    /// Removes what is not wanted; whether there was anything.
    pub(super) fn drop_others(
        &mut self,
        datapath: &dyn Datapath,
        wanted: &BTreeMap<Ipv4Net, u32>,
        failures: &mut Vec<String>,
    ) -> bool {
        let gone: Vec<Ipv4Net> = self
            .written
            .keys()
            .filter(|prefix| !wanted.contains_key(*prefix))
            .copied()
            .collect();
        for prefix in &gone {
            match datapath.remove_block(*prefix) {
                Ok(()) => {
                    self.written.remove(prefix);
                }
                Err(error) => failures.push(cilium_cni::error::chain(&error)),
            }
        }
        !gone.is_empty()
    }
}

fn longest(prefixes: &BTreeMap<Ipv4Net, u32>, address: Ipv4Addr) -> Option<u32> {
    (0..=32).rev().find_map(|length| {
        let prefix = Ipv4Net::new(address, length).ok()?.trunc();
        prefixes.get(&prefix).copied()
    })
}

#[cfg(test)]
mod tests {
    use datapath::Fake;

    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn a_nodes_router_is_in_the_block_of_the_nodes_address() {
        let datapath = Fake::new();
        let mut blocks = Blocks::default();
        blocks.set_routers(&[([10, 244, 1, 1].into(), [172, 30, 0, 11].into())]);
        let prefixes = BTreeMap::from([(net("172.30.0.0/24"), 1), (net("172.30.0.11/32"), 2)]);
        let wanted = blocks.wanted(&prefixes);
        assert!(blocks.add(&datapath, &wanted, &mut Vec::new()));
        let written: BTreeMap<_, _> = datapath.blocks().unwrap().into_iter().collect();
        assert_eq!(written[&net("10.244.1.1/32")], 2);
        assert!(!blocks.add(&datapath, &wanted, &mut Vec::new()));
        assert!(!blocks.drop_others(&datapath, &wanted, &mut Vec::new()));
        assert!(blocks.drop_others(&datapath, &BTreeMap::new(), &mut Vec::new()));
        assert!(datapath.blocks().unwrap().is_empty());
    }
}

//! Policies of the node's pods.

use aya::maps::lpm_trie::Key;
use aya::maps::{HashOfMaps, LpmTrie, MapData};
use datapath_abi::address::Address;
use datapath_abi::endpoint::{Endpoint, Source};
use datapath_abi::policy;

use crate::node::{LOOPBACK, Node, POD, POD_MAC, address};

/// An entry of a policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) identity: u32,
    pub(crate) direction: u8,
    pub(crate) protocol: u8,
    pub(crate) port: u16,
    pub(crate) port_bits: u8,
    pub(crate) verdict: u8,
    pub(crate) cookie: u32,
}

/// A rule for everything in one direction.
pub(crate) fn any(direction: u8, verdict: u8) -> Rule {
    peer(0, direction, verdict)
}

/// A rule for all that one peer does.
pub(crate) fn peer(identity: u32, direction: u8, verdict: u8) -> Rule {
    Rule {
        identity,
        direction,
        protocol: 0,
        port: 0,
        port_bits: 0,
        verdict,
        cookie: 0,
    }
}

impl Rule {
    pub(crate) fn on(self, protocol: u8, port: u16) -> Self {
        self.range(protocol, port, 16)
    }

    pub(crate) fn range(self, protocol: u8, port: u16, port_bits: u8) -> Self {
        Self {
            protocol,
            port,
            port_bits,
            ..self
        }
    }

    pub(crate) fn cookie(self, cookie: u32) -> Self {
        Self { cookie, ..self }
    }
}

impl Node {
    /// Writes a policy as a whole.
    pub(crate) fn policy(&mut self, id: u32, entries: &[Rule]) {
        let mut trie = LpmTrie::<MapData, policy::Key, policy::Entry>::create(4_096, 1).unwrap();
        for rule in entries {
            let bits = match (rule.protocol, rule.port_bits) {
                (0, _) => policy::EXACT_BITS,
                (_, bits) => policy::PROTOCOL_BITS + u32::from(bits),
            };
            let key = policy::Key {
                identity: rule.identity,
                direction: rule.direction,
                protocol: rule.protocol,
                port: rule.port.to_be(),
            };
            let entry = policy::Entry {
                cookie: rule.cookie,
                verdict: rule.verdict,
                protocol: rule.protocol,
                port_bits: rule.port_bits,
                pad: 0,
            };
            trie.insert(&Key::new(bits, key), entry, 0).unwrap();
        }
        let mut policies: HashOfMaps<
            &mut MapData,
            u32,
            LpmTrie<MapData, policy::Key, policy::Entry>,
        > = self
            .object
            .map_mut("cilium_policy")
            .unwrap()
            .try_into()
            .unwrap();
        policies.insert(id, &trie, 0).unwrap();
    }

    /// Has a pod judged by a policy.
    pub(crate) fn judge_by(&mut self, pod: &str, policy: u32) {
        let mut pods = self.hash::<Address, Endpoint>("cilium_lxc");
        let endpoint = pods.get(&address(pod), 0).unwrap();
        pods.insert(address(pod), Endpoint { policy, ..endpoint }, 0)
            .unwrap();
        if pod == POD {
            let mut sources = self.hash::<u32, Source>("cilium_lxc_source");
            let source = sources.get(&LOOPBACK, 0).unwrap();
            sources
                .insert(LOOPBACK, Source { policy, ..source }, 0)
                .unwrap();
        }
    }

    /// Gives a pod's address to a new one, later than anything the programs have seen.
    pub(crate) fn reattach(&mut self, pod: &str) {
        let since = self.flow().1.created + 1;
        let mut pods = self.hash::<Address, Endpoint>("cilium_lxc");
        let endpoint = pods.get(&address(pod), 0).unwrap();
        pods.insert(address(pod), Endpoint { since, ..endpoint }, 0)
            .unwrap();
        // The next packet is seen by a clock that moves with the timer tick.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }

    /// Lets another pod of the node be the one behind the device.
    pub(crate) fn speak_as(&mut self, pod: &str) {
        let pods = self.hash::<Address, Endpoint>("cilium_lxc");
        let endpoint = pods.get(&address(pod), 0).unwrap();
        let source = Source {
            address: address(pod),
            identity: endpoint.identity,
            policy: endpoint.policy,
            id: endpoint.id,
            mac: POD_MAC,
        };
        self.hash("cilium_lxc_source")
            .insert(LOOPBACK, source, 0)
            .unwrap();
    }
}

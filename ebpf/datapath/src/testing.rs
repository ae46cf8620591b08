//! Asks the kernel programs for a verdict, for tests that compare them with other ways to judge. Needs root.

mod frame;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use aya::maps::{HashMap, HashOfMaps, LpmTrie, Map, MapData, MapError, PerCpuArray};
use aya::programs::{ProgramError, SchedClassifier, TestRun, TestRunOptions};
use aya::{Ebpf, EbpfError, EbpfLoader};
use datapath_abi::address::Address;
use datapath_abi::endpoint::{Endpoint, Source};
use datapath_abi::ip::{IDENTITY_HOST, IpEntry};
use datapath_abi::metric::{self, Metric};
use datapath_abi::{flow, policy, reason};
use ipnet::Ipv4Net;

use crate::kernel::{OBJECT, PolicyTrie, change_policy, policy_trie, prefix_key};
use crate::{Direction, PolicyEntry, PolicyKey, Verdict};

const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 10);
/// Connections the node has room for: there is one at a time, and to look for it costs the more the more there may be.
const CONNECTIONS: (&str, u32) = ("cilium_ct4_global", 64);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// What the kernel says a test frame came in on.
const LOOPBACK: u32 = 1;
const POLICY: u32 = 1;
const TC_ACT_SHOT: u32 = 2;

/// A packet that a pod sends to a peer, or gets from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// As seen by the pod.
    pub direction: Direction,
    /// Security identity of the peer.
    pub peer: u32,
    /// Its address; the kernel looks up itself in which block that lies.
    pub address: Ipv4Addr,
    /// IP protocol.
    pub protocol: u8,
    /// Port of the end that is reached, or the type of the ICMP message; 0 for a protocol without.
    pub port: u16,
}

/// A node with one pod and one policy, in the kernel.
#[derive(Debug)]
pub struct Judge {
    object: Ebpf,
    policy: PolicyTrie,
    entries: BTreeMap<PolicyKey, PolicyEntry>,
    blocks: BTreeMap<Ipv4Net, u32>,
    /// Identities by address, as the kernel knows them.
    peers: BTreeMap<Ipv4Addr, u32>,
}

/// The kernel could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The object was refused.
    #[error("cannot load the eBPF object (root is needed)")]
    Load(#[source] EbpfError),
    /// A program was refused or could not be run.
    #[error("cannot load or run a kernel program")]
    Program(#[source] ProgramError),
    /// A map could not be written or read.
    #[error("cannot use a map")]
    Map(#[source] MapError),
    /// The object lacks something.
    #[error("the eBPF object holds no {0}; rebuild it with `cargo xtask ebpf`")]
    Missing(&'static str),
    /// The policy was refused.
    #[error("cannot write the policy")]
    Policy(#[source] crate::Error),
    /// The packet was dropped for another reason than a policy's.
    #[error("the packet was dropped for another reason than a policy's")]
    OtherDrop,
}

impl Judge {
    /// Loads the programs.
    pub fn new() -> Result<Self, AskError> {
        let (connections, room) = CONNECTIONS;
        let mut loader = EbpfLoader::new();
        loader.map_max_entries(connections, room);
        let object = loader.load(OBJECT).map_err(AskError::Load)?;
        let entries = BTreeMap::new();
        let mut judge = Self {
            object,
            policy: policy_trie(POLICY, &entries).map_err(AskError::Policy)?,
            entries,
            blocks: BTreeMap::new(),
            peers: BTreeMap::new(),
        };
        let source = Source {
            address: address(POD),
            identity: 1000,
            policy: POLICY,
            id: 1,
            mac: MAC,
        };
        judge.put("cilium_lxc_source", &LOOPBACK, &source)?;
        let endpoint = Endpoint {
            ifindex: LOOPBACK,
            identity: 1000,
            policy: POLICY,
            id: 1,
            mac: MAC,
            host_mac: MAC,
            service_client: 0,
            since: 0,
            pad: 0,
        };
        judge.put("cilium_lxc", &address(POD), &endpoint)?;
        for name in ["from_container", "from_host"] {
            judge.program(name)?.load().map_err(AskError::Program)?;
        }
        judge.know_policy()?;
        Ok(judge)
    }

    fn know_policy(&mut self) -> Result<(), AskError> {
        let map = self.object.map_mut("cilium_policy");
        let map = map.ok_or(AskError::Missing("cilium_policy"))?;
        let mut policies: HashOfMaps<_, u32, LpmTrie<MapData, policy::Key, policy::Entry>> =
            map.try_into().map_err(AskError::Map)?;
        policies
            .insert(POLICY, &self.policy, 0)
            .map_err(AskError::Map)
    }

    /// Gives the pod its policy. The one map is changed: to put another in its place takes the kernel some milliseconds.
    pub fn set_policy(
        &mut self,
        entries: &BTreeMap<PolicyKey, PolicyEntry>,
    ) -> Result<(), AskError> {
        let held = std::mem::replace(&mut self.entries, entries.clone());
        let upserts: Vec<_> = entries
            .iter()
            .filter(|(key, entry)| held.get(key) != Some(entry))
            .map(|(key, entry)| (*key, *entry))
            .collect();
        let removes: Vec<_> = held
            .into_keys()
            .filter(|key| !entries.contains_key(key))
            .collect();
        change_policy(&mut self.policy, &upserts, &removes).map_err(AskError::Policy)
    }

    /// Numbers the ranges that policies name, and no others.
    pub fn set_blocks(&mut self, blocks: &BTreeMap<Ipv4Net, u32>) -> Result<(), AskError> {
        let held = std::mem::replace(&mut self.blocks, blocks.clone());
        let mut numbers = self.trie::<u32>("cilium_blocks")?;
        for prefix in held.keys().filter(|prefix| !blocks.contains_key(prefix)) {
            numbers
                .remove(&prefix_key(*prefix))
                .map_err(AskError::Map)?;
        }
        for (prefix, number) in blocks {
            if held.get(prefix) != Some(number) {
                numbers
                    .insert(&prefix_key(*prefix), number, 0)
                    .map_err(AskError::Map)?;
            }
        }
        Ok(())
    }

    /// What the kernel says of a packet that begins a connection. `None`: no entry of the policy matches it (reason 203).
    pub fn ask(&mut self, packet: &Packet) -> Result<Option<Verdict>, AskError> {
        self.know_peer(packet)?;
        let bytes = frame::build(packet, POD);
        let before = self.drops()?;
        if self.run(packet, &bytes)? != TC_ACT_SHOT {
            self.forget()?;
            return Ok(Some(Verdict::Allow));
        }
        let after = self.drops()?;
        for (index, verdict) in [Some(Verdict::DefaultDeny), Some(Verdict::Deny), None]
            .into_iter()
            .enumerate()
        {
            if before[index] != after[index] {
                return Ok(verdict);
            }
        }
        Err(AskError::OtherDrop)
    }

    fn run(&mut self, packet: &Packet, bytes: &[u8]) -> Result<u32, AskError> {
        // `ingress_ifindex` of `struct __sk_buff` (linux/bpf.h) is its tenth word; 0 is what the host itself made.
        const INGRESS_IFINDEX: usize = 9 * 4;
        let mut context = [0; 192];
        if packet.peer != IDENTITY_HOST {
            context[INGRESS_IFINDEX..INGRESS_IFINDEX + 4].copy_from_slice(&LOOPBACK.to_ne_bytes());
        }
        let program = match packet.direction {
            Direction::Egress => "from_container",
            Direction::Ingress => "from_host",
        };
        let options = TestRunOptions {
            data_in: Some(bytes),
            ctx_in: Some(&context),
            ..TestRunOptions::new()
        };
        let result = self.program(program)?.test_run(options);
        Ok(result.map_err(AskError::Program)?.return_value)
    }

    fn know_peer(&mut self, packet: &Packet) -> Result<(), AskError> {
        if self.peers.get(&packet.address) == Some(&packet.peer) {
            return Ok(());
        }
        let entry = IpEntry {
            identity: packet.peer,
            // What leaves the pod network meets more checks than a policy's.
            has_tunnel: 1,
            tunnel: Address::default(),
        };
        let key = prefix_key(packet.address.into());
        let mut ips = self.trie("cilium_ipcache")?;
        ips.insert(&key, entry, 0).map_err(AskError::Map)?;
        self.peers.insert(packet.address, packet.peer);
        Ok(())
    }

    /// The same packet asked again has to begin a connection again.
    fn forget(&mut self) -> Result<(), AskError> {
        let map = self.map(CONNECTIONS.0)?;
        let mut flows: HashMap<_, flow::Key, flow::State> =
            map.try_into().map_err(AskError::Map)?;
        let known: Vec<_> = flows
            .keys()
            .collect::<Result<_, _>>()
            .map_err(AskError::Map)?;
        for key in known {
            flows.remove(&key).map_err(AskError::Map)?;
        }
        Ok(())
    }

    /// Counts of the policies' reasons.
    fn drops(&mut self) -> Result<[u64; 3], AskError> {
        let map = self.map("cilium_metrics")?;
        let counters: PerCpuArray<_, Metric> = map.try_into().map_err(AskError::Map)?;
        let mut counts = [0; 3];
        let reasons = [
            reason::POLICY_DENIED,
            reason::POLICY_DENY,
            reason::NO_POLICY,
        ];
        for (count, reason) in counts.iter_mut().zip(reasons) {
            let slot = metric::slot(reason, metric::EGRESS);
            let by_cpu = counters.get(&slot, 0).map_err(AskError::Map)?;
            *count = by_cpu.iter().map(|cpu| cpu.packets).sum();
        }
        Ok(counts)
    }

    fn put<K: aya::Pod, V: aya::Pod>(
        &mut self,
        name: &'static str,
        key: &K,
        value: &V,
    ) -> Result<(), AskError> {
        let mut map: HashMap<_, K, V> = self.map(name)?.try_into().map_err(AskError::Map)?;
        map.insert(key, value, 0).map_err(AskError::Map)
    }

    fn trie<V: aya::Pod>(
        &mut self,
        name: &'static str,
    ) -> Result<LpmTrie<&mut MapData, Address, V>, AskError> {
        self.map(name)?.try_into().map_err(AskError::Map)
    }

    fn map(&mut self, name: &'static str) -> Result<&mut Map, AskError> {
        self.object.map_mut(name).ok_or(AskError::Missing(name))
    }

    fn program(&mut self, name: &'static str) -> Result<&mut SchedClassifier, AskError> {
        let program = self
            .object
            .program_mut(name)
            .ok_or(AskError::Missing(name))?;
        program.try_into().map_err(AskError::Program)
    }
}

fn address(ip: Ipv4Addr) -> Address {
    Address::v4(u32::from_ne_bytes(ip.octets()))
}

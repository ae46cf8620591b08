//! A node without devices: the programs and their maps, ready to be run on frames.

use std::net::Ipv4Addr;
use std::sync::MutexGuard;
use std::time::Duration;

use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::{SchedClassifier, TestRun, TestRunOptions};
use aya::{Ebpf, Pod};
use datapath_abi::address::Address;
use datapath_abi::endpoint::{Endpoint, Source};
use datapath_abi::event::Runtime;
use datapath_abi::flow;
use datapath_abi::ip::{IpEntry, Owner};
use datapath_abi::metric::{self, EGRESS, INGRESS, Metric};
use datapath_abi::policy::ALLOW;
use datapath_abi::reason::{ALL, POLICY_DENIED};
use datapath_abi::service::{Backend, EXCLUSIVE, Frontend, INSIDE, Member, Service, Slot};

use crate::frame::{Frame, ip};
use crate::outcome::Outcome;
use crate::rules::any;
use crate::shared;

/// The loopback device: what `BPF_PROG_TEST_RUN` says a frame came in on. It is the tunnel as well, and the link of the first pod.
pub(crate) const LOOPBACK: u32 = 1;
pub(crate) const POD_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x22];
pub(crate) const OTHER_HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x33];

pub(crate) const NODE: &str = "172.30.0.11";
pub(crate) const ROUTER: &str = "10.244.1.1";
/// The pod the frames come from.
pub(crate) const POD: &str = "10.244.1.10";
/// Another pod of the node.
pub(crate) const NEIGHBOUR: &str = "10.244.1.20";
/// A pod of another node.
pub(crate) const REMOTE: &str = "10.244.2.30";
pub(crate) const OTHER_NODE: &str = "172.30.0.12";
pub(crate) const WORLD: &str = "198.51.100.7";

pub(crate) const POD_IDENTITY: u32 = 1001;
pub(crate) const NEIGHBOUR_IDENTITY: u32 = 1002;
pub(crate) const REMOTE_IDENTITY: u32 = 1003;
/// The policy that both pods begin with.
pub(crate) const ALLOW_ALL: u32 = 1;

/// The verdicts of a program.
pub(crate) const PASSED: i32 = -1;
pub(crate) const DROPPED: i32 = 2;
pub(crate) const REDIRECTED: i32 = 7;

pub(crate) struct Node {
    pub(crate) object: MutexGuard<'static, Ebpf>,
    lost: u64,
    dropped: u64,
}

impl Node {
    /// The node with its two pods and one remote range.
    pub(crate) fn new() -> Self {
        Self::on(shared::take())
    }

    /// As [`Node::new`], on an object of its own.
    pub(crate) fn on(object: MutexGuard<'static, Ebpf>) -> Self {
        let mut node = Self {
            object,
            lost: 0,
            dropped: 0,
        };
        node.lost = node.all_lost();
        node.dropped = node.all_dropped();
        node.runtime(|runtime| *runtime = Runtime::default());
        let source = Source {
            address: address(POD),
            identity: POD_IDENTITY,
            policy: ALLOW_ALL,
            id: 1,
            mac: POD_MAC,
        };
        node.hash("cilium_lxc_source")
            .insert(LOOPBACK, source, 0)
            .unwrap();
        node.pod(POD, LOOPBACK, POD_MAC);
        node.pod(NEIGHBOUR, LOOPBACK, OTHER_MAC);
        node.policy(ALLOW_ALL, &[any(INGRESS, ALLOW), any(EGRESS, ALLOW)]);
        let remote = IpEntry {
            identity: REMOTE_IDENTITY,
            has_tunnel: 1,
            tunnel: address(OTHER_NODE),
        };
        node.trie("cilium_ipcache")
            .insert(&Key::new(96 + 24, address("10.244.2.0")), remote, 0)
            .unwrap();
        let owner = Owner {
            node: address(OTHER_NODE),
        };
        node.trie("cilium_node_cidr")
            .insert(&Key::new(96 + 24, address("10.244.2.0")), owner, 0)
            .unwrap();
        node.trie("cilium_native")
            .insert(&Key::new(96 + 16, address("10.244.0.0")), 1_u32, 0)
            .unwrap();
        node
    }

    pub(crate) fn pod(&mut self, pod: &str, ifindex: u32, mac: [u8; 6]) {
        let (identity, id) = if pod == POD {
            (POD_IDENTITY, 1)
        } else {
            (NEIGHBOUR_IDENTITY, 2)
        };
        let endpoint = Endpoint {
            ifindex,
            identity,
            policy: ALLOW_ALL,
            id,
            mac,
            host_mac: OTHER_HOST_MAC,
            service_client: 0,
            since: 0,
            pad: 0,
        };
        self.hash("cilium_lxc")
            .insert(address(pod), endpoint, 0)
            .unwrap();
    }

    /// Has packets to a pod leave with the Ethernet source they came with: so a frame can be run again as it came out.
    pub(crate) fn address_back(&mut self, pod: &str) {
        let mut pods = self.hash::<Address, Endpoint>("cilium_lxc");
        let endpoint = pods.get(&address(pod), 0).unwrap();
        let changed = Endpoint {
            host_mac: POD_MAC,
            ..endpoint
        };
        pods.insert(address(pod), changed, 0).unwrap();
    }

    pub(crate) fn service(
        &mut self,
        frontend: (&str, u16),
        protocol: u8,
        backends: &[(&str, u16)],
        affinity_seconds: u32,
    ) {
        self.service_for(INSIDE, frontend, protocol, backends, affinity_seconds);
    }

    /// As above, for whoever asks from there.
    pub(crate) fn service_for(
        &mut self,
        scope: u8,
        frontend: (&str, u16),
        protocol: u8,
        backends: &[(&str, u16)],
        affinity_seconds: u32,
    ) {
        let generation = self
            .hash::<Frontend, Service>("cilium_lb4_services")
            .keys()
            .count();
        let generation = u32::try_from(generation + 1).unwrap();
        for (index, (backend, port)) in (0..).zip(backends) {
            let backend = Backend {
                address: address(backend),
                port: port.to_be(),
                pad: [0; 2],
            };
            self.hash("cilium_lb4_backends")
                .insert(Slot { generation, index }, backend, 0)
                .unwrap();
            self.hash("cilium_lb4_members")
                .insert(
                    Member {
                        generation,
                        backend,
                    },
                    1_u32,
                    0,
                )
                .unwrap();
        }
        let service = Service {
            generation,
            count: u32::try_from(backends.len()).unwrap(),
            affinity_seconds,
            flags: EXCLUSIVE,
            slots: 0,
            pad: 0,
            key: [0; 2],
        };
        let key = Frontend {
            address: address(frontend.0),
            port: frontend.1.to_be(),
            protocol,
            scope,
        };
        self.hash("cilium_lb4_services")
            .insert(key, service, 0)
            .unwrap();
        let any = Frontend {
            port: 0,
            protocol: 0,
            ..key
        };
        // As the agent writes it: addresses that the outside reaches may be a host's as well.
        let claimed = Service {
            flags: if scope == INSIDE { EXCLUSIVE } else { 0 },
            ..service
        };
        self.hash("cilium_lb4_services")
            .insert(any, claimed, 0)
            .unwrap();
    }

    pub(crate) fn hash<K: Pod, V: Pod>(&mut self, name: &str) -> HashMap<&mut MapData, K, V> {
        self.object.map_mut(name).unwrap().try_into().unwrap()
    }

    pub(crate) fn trie<V: Pod>(&mut self, name: &str) -> LpmTrie<&mut MapData, Address, V> {
        self.object.map_mut(name).unwrap().try_into().unwrap()
    }

    pub(crate) fn runtime(&mut self, change: impl FnOnce(&mut Runtime)) {
        let mut map: Array<&mut MapData, Runtime> = self
            .object
            .map_mut("cilium_runtime_config")
            .unwrap()
            .try_into()
            .unwrap();
        let mut runtime = map.get(&0, 0).unwrap();
        change(&mut runtime);
        map.set(0, runtime, 0).unwrap();
    }

    pub(crate) fn new_epoch(&mut self) {
        self.runtime(|runtime| runtime.epoch += 1);
    }

    pub(crate) fn flows(&mut self) -> HashMap<&mut MapData, flow::Key, flow::State> {
        self.hash("cilium_ct4_global")
    }

    /// The only connection.
    pub(crate) fn flow(&mut self) -> (flow::Key, flow::State) {
        let all: Vec<_> = self.flows().iter().collect::<Result<_, _>>().unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0]
    }

    /// Has the only connection end that many nanoseconds earlier.
    pub(crate) fn age_flow(&mut self, by: u64) {
        let (key, state) = self.flow();
        let expires = state.expires.saturating_sub(by);
        let older = flow::State { expires, ..state };
        self.flows().insert(key, older, 0).unwrap();
    }

    /// The ring; the programs put events into it from now on.
    pub(crate) fn ring(&mut self) -> RingBuf<MapData> {
        self.runtime(|runtime| runtime.events = 1);
        let Some(Map::RingBuf(data)) = self.object.map("cilium_events") else {
            panic!("the ring");
        };
        let again = MapData::from_id(data.info().unwrap().id()).unwrap();
        let mut ring = RingBuf::try_from(Map::RingBuf(again)).unwrap();
        while ring.next().is_some() {}
        ring
    }

    /// Events that found no room in this test.
    pub(crate) fn lost(&mut self) -> u64 {
        self.all_lost() - self.lost
    }

    fn all_lost(&mut self) -> u64 {
        let lost: PerCpuArray<&mut MapData, u64> = self
            .object
            .map_mut("cilium_events_lost")
            .unwrap()
            .try_into()
            .unwrap();
        lost.get(&0, 0).unwrap().iter().sum()
    }

    /// Runs a program on a frame.
    pub(crate) fn run(&mut self, program: &str, frame: &Frame) -> Outcome {
        self.run_bytes(program, &frame.bytes())
    }

    /// Runs `from_host` on a frame that came in by a device: the tunnel's, and the pod's link.
    pub(crate) fn run_forwarded(&mut self, frame: &Frame) -> Outcome {
        self.run_bytes_forwarded(&frame.bytes())
    }

    pub(crate) fn run_bytes_forwarded(&mut self, bytes: &[u8]) -> Outcome {
        self.run_arrived("from_host", LOOPBACK, bytes)
    }

    /// Runs a program on a frame that came in by a device.
    pub(crate) fn run_arrived(&mut self, program: &str, device: u32, bytes: &[u8]) -> Outcome {
        // `ingress_ifindex` of `struct __sk_buff` (linux/bpf.h) is its tenth word.
        const INGRESS_IFINDEX: usize = 9 * 4;
        let mut context = [0; 192];
        context[INGRESS_IFINDEX..INGRESS_IFINDEX + 4].copy_from_slice(&device.to_ne_bytes());
        self.run_with(program, bytes, Some(&context))
    }

    pub(crate) fn run_bytes(&mut self, program: &str, bytes: &[u8]) -> Outcome {
        self.run_with(program, bytes, None)
    }

    fn run_with(&mut self, program: &str, bytes: &[u8], context: Option<&[u8]>) -> Outcome {
        let before = self.counted();
        let mut out = vec![0; bytes.len() + 256];
        let options = TestRunOptions {
            data_in: Some(bytes),
            data_out: Some(&mut out),
            ctx_in: context,
            ..TestRunOptions::new()
        };
        let result = self.classifier(program).test_run(options).unwrap();
        out.truncate(result.data_size_out as usize);
        let counted = self.counted();
        let sum =
            |counted: &[((u8, u8), u64)]| counted.iter().map(|(_, packets)| packets).sum::<u64>();
        let packets = sum(&counted) - sum(&before);
        let counted = counted.into_iter().filter(|(key, packets)| {
            before
                .iter()
                .find(|(old, _)| old == key)
                .is_none_or(|(_, old)| old < packets)
        });
        Outcome {
            verdict: result.return_value.cast_signed(),
            frame: out,
            counted: counted.map(|(key, _)| key).collect(),
            packets,
        }
    }

    /// Average time of a program over repeated runs on one frame.
    pub(crate) fn cost(&mut self, program: &str, frame: &Frame, repeat: u32) -> Duration {
        let bytes = frame.bytes();
        let options = TestRunOptions {
            data_in: Some(&bytes),
            repeat,
            ..TestRunOptions::new()
        };
        self.classifier(program).test_run(options).unwrap().duration
    }

    /// Runs of a program that the kernel counted, and how long they took.
    pub(crate) fn counted_runs(&mut self, program: &str) -> (u64, Duration) {
        let info = self.classifier(program).info().unwrap();
        (info.run_count(), info.run_time())
    }

    /// Instructions the verifier went through.
    pub(crate) fn verified(&mut self, program: &str) -> u32 {
        let info = self.classifier(program).info().unwrap();
        info.verified_instruction_count().unwrap()
    }

    fn classifier(&mut self, name: &str) -> &mut SchedClassifier {
        let program: &mut SchedClassifier =
            self.object.program_mut(name).unwrap().try_into().unwrap();
        if program.fd().is_err() {
            program.load().unwrap();
        }
        program
    }

    /// Packets dropped in this test.
    pub(crate) fn dropped(&mut self) -> u64 {
        self.all_dropped() - self.dropped
    }

    fn all_dropped(&mut self) -> u64 {
        let counted = self.counted();
        let drops = counted.iter().filter(|((reason, _), _)| *reason != 0);
        drops.map(|(_, packets)| packets).sum()
    }

    fn counted(&mut self) -> Vec<((u8, u8), u64)> {
        let metrics: PerCpuArray<&mut MapData, Metric> = self
            .object
            .map_mut("cilium_metrics")
            .unwrap()
            .try_into()
            .unwrap();
        let mut counted = Vec::new();
        for direction in [metric::INGRESS, metric::EGRESS] {
            for &reason in ALL {
                let slot = metric::slot(reason, direction);
                let packets: u64 = metrics
                    .get(&slot, 0)
                    .unwrap()
                    .iter()
                    .map(|cpu| cpu.packets)
                    .sum();
                if packets > 0 {
                    counted.push(((reason, direction), packets));
                }
            }
        }
        counted
    }

    /// An error comes in with the flow it is about, also under policies that are newer, and without it not at all.
    pub(crate) fn takes_with_its_flow_only(&mut self, error: &Frame) {
        assert_eq!(self.run("from_netdev", error).verdict, REDIRECTED);
        self.new_epoch();
        assert_eq!(self.run("from_netdev", error).verdict, REDIRECTED);
        let (key, _) = self.flow();
        self.flows().remove(&key).unwrap();
        self.run("from_netdev", error)
            .dropped(POLICY_DENIED, INGRESS);
    }
}

pub(crate) fn address(text: &str) -> Address {
    to_address(ip(text))
}

pub(crate) fn to_address(ip: Ipv4Addr) -> Address {
    Address::v4(u32::from_ne_bytes(ip.octets()))
}

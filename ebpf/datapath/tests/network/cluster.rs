//! Two nodes, a host outside, and pods.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use datapath::link::{PodLinkSpec, create_pod_link, settle_pod_link};
use datapath::{
    Config, Counter, Datapath, Direction, Endpoint, IpEntry, Kernel, Node as NodeEntry,
    PolicyEntry, PolicyKey, Routing, Verdict, remnants,
};
use nix::mount::{MsFlags, mount};

use crate::namespace::Namespace;

pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(172, 30, 9, 1);
pub(crate) const TUNNEL_PORT: u16 = 8472;

/// Moving the test process between cgroups is for one test at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static NUMBER: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) outside: Namespace,
    wire: Namespace,
    cgroup: Cgroup,
    folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

pub(crate) struct Node {
    pub(crate) namespace: Namespace,
    pub(crate) config: Config,
    kernel: Option<Arc<Kernel>>,
}

pub(crate) struct Pod {
    pub(crate) namespace: Namespace,
    pub(crate) ip: Ipv4Addr,
    pub(crate) endpoint: Endpoint,
}

/// The policy that pods begin with.
pub(crate) const ALLOW_ALL: u32 = 1;

/// One verdict for everything.
pub(crate) fn rules(verdict: Verdict) -> BTreeMap<PolicyKey, PolicyEntry> {
    [Direction::Ingress, Direction::Egress]
        .map(|direction| {
            let key = PolicyKey {
                identity: 0,
                direction,
                protocol: 0,
                port: 0,
                port_bits: 0,
            };
            (key, PolicyEntry { verdict, cookie: 1 })
        })
        .into()
}

/// Whether the pods' sockets are in the cgroup that the nodes attach to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Services {
    BySocket,
    ByPacket,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::with(Services::BySocket)
    }

    pub(crate) fn with(services: Services) -> Self {
        Self::routed(Routing::Tunnel, services)
    }

    /// Two nodes without a tunnel between them.
    pub(crate) fn native() -> Self {
        Self::routed(Routing::Native, Services::BySocket)
    }

    pub(crate) fn routed(routing: Routing, services: Services) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let cgroup = Cgroup::new(services == Services::BySocket);
        let folder = tempfile::tempdir().unwrap();
        let wire = Namespace::new();
        wire.ip("link add bridge type bridge");
        wire.ip("link set bridge up");
        let outside = Namespace::new();
        plug(&wire, &outside, 1);
        let mut cluster = Self {
            nodes: Vec::new(),
            outside,
            wire,
            cgroup,
            folder,
            _turn: turn,
        };
        for number in [1, 2] {
            cluster.add_node(number, routing);
        }
        cluster.introduce();
        cluster
    }

    fn add_node(&mut self, number: u8, routing: Routing) {
        let namespace = Namespace::new();
        plug(&self.wire, &namespace, 10 + number);
        namespace.ip(&format!("route add default via {OUTSIDE}"));
        let bpffs = self.folder.path().join(format!("node-{number}"));
        fs::create_dir(&bpffs).unwrap();
        let mounted = bpffs.clone();
        namespace.run(move || {
            mount(
                Some("bpf"),
                &mounted,
                Some("bpf"),
                MsFlags::empty(),
                None::<&str>,
            )
            .unwrap();
        });
        let config = Config {
            bpffs,
            cgroup_root: self.cgroup.attach.clone(),
            node_ip: Ipv4Addr::new(172, 30, 9, 10 + number),
            router_ip: Ipv4Addr::new(10, 244, number, 1),
            pod_cidr: format!("10.244.{number}.0/24").parse().unwrap(),
            native_cidrs: vec!["10.244.0.0/16".parse().unwrap()],
            routing,
            devices: Vec::new(),
            tunnel_port: TUNNEL_PORT,
            mtu: None,
        };
        let mut node = Node {
            namespace,
            config,
            kernel: None,
        };
        node.start();
        self.nodes.push(node);
    }

    pub(crate) fn introduce(&self) {
        for node in &self.nodes {
            for other in self
                .nodes
                .iter()
                .filter(|other| other.config.node_ip != node.config.node_ip)
            {
                let entry = NodeEntry {
                    ip: other.config.node_ip,
                    pod_cidrs: vec![other.config.pod_cidr],
                };
                let range = other.config.pod_cidr;
                let ip = IpEntry {
                    identity: 2,
                    tunnel: Some(other.config.node_ip),
                };
                node.datapath(move |datapath| {
                    datapath.upsert_node(&entry).unwrap();
                    datapath.upsert_ip(range, ip).unwrap();
                });
            }
        }
    }
}

/// A cable from a namespace to the bridge.
fn plug(wire: &Namespace, namespace: &Namespace, number: u8) {
    wire.ip(&format!(
        "link add port{number} master bridge type veth peer name eth0 netns {}",
        namespace.thread_id()
    ));
    wire.ip(&format!("link set port{number} up"));
    namespace.ip(&format!("addr add 172.30.9.{number}/24 dev eth0"));
    namespace.ip("link set eth0 up");
}

impl Node {
    /// What an endpoint on another node takes this node's clients outside for.
    pub(crate) fn stand_in(&self) -> Ipv4Addr {
        match self.config.routing {
            Routing::Tunnel => self.config.router_ip,
            Routing::Native => self.config.node_ip,
        }
    }

    /// Runs something with the node's datapath, inside the node.
    pub(crate) fn datapath<T: Send + 'static>(
        &self,
        function: impl FnOnce(&Kernel) -> T + Send + 'static,
    ) -> T {
        let kernel = Arc::clone(self.kernel.as_ref().expect("the node's agent runs"));
        self.namespace.run(move || function(&kernel))
    }

    /// The agent stops; programs and maps stay.
    pub(crate) fn stop(&mut self) {
        self.kernel = None;
    }

    pub(crate) fn start(&mut self) {
        let config = self.config.clone();
        self.kernel = Some(
            self.namespace
                .run(move || Arc::new(Kernel::open(config).unwrap())),
        );
        self.datapath(|datapath| {
            datapath
                .set_policy(ALLOW_ALL, &rules(Verdict::Allow))
                .unwrap();
        });
    }

    /// Takes everything of ours off the node, and says what that was.
    pub(crate) fn clean(&self) -> Vec<String> {
        let bpffs = self.config.bpffs.clone();
        self.namespace.run(move || {
            let found = remnants(&bpffs).unwrap();
            for remnant in &found {
                remnant.remove().unwrap();
                // Somebody was quicker.
                remnant.remove().unwrap();
            }
            found.iter().map(ToString::to_string).collect()
        })
    }

    pub(crate) fn pod(&self, last: u8) -> Pod {
        let namespace = Namespace::new();
        let [a, b, c, _] = self.config.pod_cidr.network().octets();
        let ip = Ipv4Addr::new(a, b, c, last);
        let (netns, router_ip) = (namespace.path(), self.config.router_ip);
        let endpoint = self.datapath(move |datapath| {
            let host_name = format!("lxc{last}");
            let link = create_pod_link(&PodLinkSpec {
                netns: &netns,
                container_name: "eth0",
                host_name: &host_name,
                ip,
                router_ip,
                mtu: datapath.pod_mtu(),
            })
            .unwrap();
            let endpoint = Endpoint {
                id: u16::from(last),
                ip,
                mac: link.mac,
                host_mac: link.host_mac,
                ifindex: link.host_ifindex,
                identity: 1000 + u32::from(last),
                policy: ALLOW_ALL,
            };
            datapath.upsert_endpoint(&endpoint).unwrap();
            settle_pod_link(&netns, "eth0").unwrap();
            endpoint
        });
        Pod {
            namespace,
            ip,
            endpoint,
        }
    }

    /// Packets counted under a reason.
    pub(crate) fn count(&self, reason: u8, direction: Direction) -> u64 {
        let counters: Vec<Counter> = self.datapath(|datapath| datapath.counters().unwrap());
        counters
            .iter()
            .filter(|c| (c.reason, c.direction) == (reason, direction))
            .map(|c| c.packets)
            .sum()
    }
}

/// A cgroup v2 folder for the test process, taken back at the end.
struct Cgroup {
    folder: PathBuf,
    attach: PathBuf,
    home: PathBuf,
}

impl Cgroup {
    fn new(joined: bool) -> Self {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let root = mounts
            .lines()
            .find_map(|line| {
                let mut words = line.split(' ');
                let (_, folder, kind) = (words.next()?, words.next()?, words.next()?);
                (kind == "cgroup2").then(|| PathBuf::from(folder))
            })
            .expect("a mounted cgroup v2");
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = own
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .unwrap()
            .to_owned();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = root.join(format!("gloonet-test-{}-{number}", std::process::id()));
        let attach = if joined {
            folder.clone()
        } else {
            folder.join("nobody")
        };
        fs::create_dir_all(&attach).unwrap();
        let cgroup = Self {
            folder,
            attach,
            home: root.join(own),
        };
        if joined {
            fs::write(
                cgroup.folder.join("cgroup.procs"),
                std::process::id().to_string(),
            )
            .unwrap();
        }
        cgroup
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        drop(fs::write(
            self.home.join("cgroup.procs"),
            std::process::id().to_string(),
        ));
        if self.attach != self.folder {
            drop(fs::remove_dir(&self.attach));
        }
        // A thread that was just ending stays behind until it has ended.
        for _ in 0..100 {
            if fs::remove_dir(&self.folder).is_ok() {
                break;
            }
            sleep(Duration::from_millis(20));
        }
    }
}

//! What a pod's link, a packet from the tunnel and whole paths cost; printed, not judged: run with `--ignored --nocapture`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use aya::programs::{SchedClassifier, TcAttachType};
use aya::sys::{Stats, enable_stats};
use datapath::link::{PodLinkSpec, create_pod_link, delete_pod_link, settle_pod_link};
use datapath::{Datapath, Endpoint, Kernel};

use crate::cluster::{Cluster, Node};
use crate::namespace::Namespace;
use crate::traffic::{open_tcp, serve_tcp, swallow_tcp};

const STEPS: [&str; 5] = [
    "create_pod_link",
    "upsert_endpoint",
    "settle_pod_link",
    "remove_endpoint",
    "delete_pod_link",
];

#[test]
#[ignore = "a measurement"]
fn a_pods_link() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let mut times: [Vec<Duration>; STEPS.len()] = Default::default();
    for last in 10..110_u8 {
        let pod = Namespace::new();
        let netns = pod.path();
        let router_ip = node.config.router_ip;
        let taken = node.datapath(move |datapath| {
            let host_name = format!("lxc{last}");
            let spec = PodLinkSpec {
                netns: &netns,
                container_name: "eth0",
                host_name: &host_name,
                ip: Ipv4Addr::new(10, 244, 1, last),
                router_ip,
                mtu: datapath.pod_mtu(),
            };
            live_and_die(datapath, &spec, u16::from(last))
        });
        for (list, time) in times.iter_mut().zip(taken) {
            list.push(time);
        }
    }
    for (name, list) in STEPS.iter().zip(&mut times) {
        list.sort_unstable();
        let (half, most) = (list[list.len() / 2], list[list.len() * 99 / 100]);
        println!("{name:16} p50 {half:?} p99 {most:?}");
    }
}

fn live_and_die(datapath: &Kernel, spec: &PodLinkSpec<'_>, id: u16) -> [Duration; STEPS.len()] {
    let mut link = None;
    let create = time(|| link = Some(create_pod_link(spec).unwrap()));
    let link = link.unwrap();
    let endpoint = Endpoint {
        id,
        ip: spec.ip,
        mac: link.mac,
        host_mac: link.host_mac,
        ifindex: link.host_ifindex,
        identity: 1,
        policy: crate::cluster::ALLOW_ALL,
    };
    [
        create,
        time(|| datapath.upsert_endpoint(&endpoint).unwrap()),
        time(|| settle_pod_link(spec.netns, spec.container_name).unwrap()),
        time(|| datapath.remove_endpoint(id).unwrap()),
        time(|| assert!(delete_pod_link(spec.host_name).unwrap())),
    ]
}

fn time(step: impl FnOnce()) -> Duration {
    let start = Instant::now();
    step();
    start.elapsed()
}

/// No test run can give a packet that comes from a tunnel, so these are datagrams of one connection between two nodes, as the
/// kernel counts them. The clock that it reads at each is in the figures: `programs/cost.rs` has what that adds. At the node's
/// device, where they come in, the same datagrams only pass.
#[test]
#[ignore = "a measurement"]
fn a_packet_from_the_tunnel() {
    let cluster = Cluster::new();
    let [here, there] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let (client, server) = (here.pod(10), there.pod(20));
    let to = (server.ip, 53);
    let _unread = server.namespace.run(move || UdpSocket::bind(to)).unwrap();
    let socket = client
        .namespace
        .run(|| UdpSocket::bind("0.0.0.0:0"))
        .unwrap();
    socket.connect(to).unwrap();
    let _counting = enable_stats(Stats::RunTime).unwrap();
    for (program, device) in [("from_overlay", "cilium_vxlan"), ("from_netdev", "eth0")] {
        let mut costs: Vec<Duration> = (0..50)
            .map(|_| live_packet(&socket, || counted(there, program, device)))
            .collect();
        costs.sort_unstable();
        let [half, fastest] = [costs[costs.len() / 2], costs[0]];
        println!(
            "{program:16} {device:24} {:9} half {half:?}, fastest {fastest:?}",
            "live"
        );
    }
}

/// The average of many.
fn live_packet(socket: &UdpSocket, counted: impl Fn() -> (u64, Duration)) -> Duration {
    // Headers of the shortest datagrams are read in another way, those of TCP and of these are not.
    const DATAGRAMS: u64 = 2_000;
    let (count, time) = counted();
    for _ in 0..DATAGRAMS {
        socket.send(&[1; 64]).unwrap();
    }
    let (count_after, time_after) = counted();
    let runs = count_after - count;
    assert!(runs > DATAGRAMS / 2, "{runs} of {DATAGRAMS} came this way");
    time_after.saturating_sub(time) / u32::try_from(runs).unwrap()
}

/// Packets that a program of a node has handled while they were counted, and for how long.
fn counted(node: &Node, program: &'static str, device: &'static str) -> (u64, Duration) {
    let (_, found) = node
        .namespace
        .run(move || SchedClassifier::query_tcx(device, TcAttachType::Ingress))
        .unwrap();
    let found = found
        .iter()
        .find(|info| info.name_as_str() == Some(program));
    let info = found.unwrap();
    (info.run_count(), info.run_time())
}

/// Reference for two nodes: a namespace on each, behind a bridge with the kernel's own VXLAN.
fn kernel_vxlan(cluster: &Cluster) -> [(Namespace, Ipv4Addr); 2] {
    [0_u8, 1].map(|number| {
        let node = &cluster.nodes[usize::from(number)];
        let remote = cluster.nodes[usize::from(1 - number)].config.node_ip;
        let end = Namespace::new();
        let ip = Ipv4Addr::new(10, 99, 0, 1 + number);
        for command in [
            "link add ref-bridge type bridge".to_owned(),
            format!(
                "link add ref-vxlan mtu 1450 type vxlan id 99 dstport 4789 remote {remote} dev eth0"
            ),
            format!(
                "link add ref-port mtu 1450 type veth peer name eth0 mtu 1450 netns {}",
                end.thread_id()
            ),
            "link set ref-vxlan master ref-bridge up".to_owned(),
            "link set ref-port master ref-bridge up".to_owned(),
            "link set ref-bridge up".to_owned(),
        ] {
            node.namespace.ip(&command);
        }
        end.ip(&format!("addr add {ip}/24 dev eth0"));
        end.ip("link set eth0 up");
        (end, ip)
    })
}

/// Reference for one node: two namespaces and a veth pair.
fn raw_veth() -> [(Namespace, Ipv4Addr); 2] {
    let ends = [Namespace::new(), Namespace::new()];
    ends[0].ip(&format!(
        "link add eth0 mtu 1450 type veth peer name eth0 mtu 1450 netns {}",
        ends[1].thread_id()
    ));
    let [first, second] = ends;
    [
        (first, Ipv4Addr::new(10, 98, 0, 1)),
        (second, Ipv4Addr::new(10, 98, 0, 2)),
    ]
    .map(|(end, ip)| {
        end.ip(&format!("addr add {ip}/24 dev eth0"));
        end.ip("link set eth0 up");
        (end, ip)
    })
}

const MEGABYTES: u32 = 256;

/// Median of a one-byte round trip in microseconds, and gigabits per second of one stream.
fn measure(client: &Namespace, server: Ipv4Addr) -> (f64, f64) {
    let (mut stream, _) = open_tcp(client, server, 80).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut trips: Vec<Duration> = (0..5000)
        .map(|_| {
            time(|| {
                stream.write_all(&[1]).unwrap();
                stream.read_exact(&mut [0]).unwrap();
            })
        })
        .collect();
    trips.sort_unstable();
    let sink = open_tcp(client, server, 81).unwrap().0;
    let took = time(|| {
        let mut sink = &sink;
        let chunk = vec![0; 1 << 20];
        for _ in 0..MEGABYTES {
            sink.write_all(&chunk).unwrap();
        }
        sink.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(sink.read(&mut [0]).unwrap(), 0);
    });
    (
        trips[trips.len() / 2].as_secs_f64() * 1e6,
        f64::from(MEGABYTES) * f64::from(8 << 20) / took.as_secs_f64() / 1e9,
    )
}

#[test]
#[ignore = "a measurement"]
fn paths_beside_their_references() {
    let cluster = Cluster::new();
    let (near, next, far) = (
        cluster.nodes[0].pod(10),
        cluster.nodes[0].pod(11),
        cluster.nodes[1].pod(20),
    );
    let [(veth_client, _), (veth_server, veth_ip)] = raw_veth();
    let [(vxlan_client, _), (vxlan_server, vxlan_ip)] = kernel_vxlan(&cluster);
    for (server, ip) in [
        (&next.namespace, next.ip),
        (&far.namespace, far.ip),
        (&veth_server, veth_ip),
        (&vxlan_server, vxlan_ip),
    ] {
        serve_tcp(server, ip, 80);
        swallow_tcp(server, ip, 81);
    }
    for round in 1..=5 {
        for (name, client, ip) in [
            ("one node, ours", &near.namespace, next.ip),
            ("one node, veth", &veth_client, veth_ip),
            ("two nodes, ours", &near.namespace, far.ip),
            ("two nodes, kernel VXLAN", &vxlan_client, vxlan_ip),
        ] {
            let (trip, rate) = measure(client, ip);
            println!("{round} {name:24} {trip:8.2} us {rate:8.2} Gbit/s");
        }
    }
}

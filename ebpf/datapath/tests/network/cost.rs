//! What a pod's link costs; printed, not judged: run with `--ignored --nocapture`.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use datapath::link::{PodLinkSpec, create_pod_link, delete_pod_link, settle_pod_link};
use datapath::{Datapath, Endpoint, Kernel};

use crate::cluster::Cluster;
use crate::namespace::Namespace;

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

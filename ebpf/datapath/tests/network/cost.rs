//! What a pod's link costs; printed, not judged: run with `--ignored --nocapture`.

use std::time::{Duration, Instant};

use datapath::link::{PodLinkSpec, create_pod_link, delete_pod_link};
use datapath::{Datapath, Endpoint};

use crate::cluster::Cluster;
use crate::namespace::Namespace;

#[test]
#[ignore = "a measurement"]
fn a_pods_link() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let mut times: [Vec<Duration>; 4] = Default::default();
    for last in 10..110_u8 {
        let pod = Namespace::new();
        let (netns, router_ip) = (pod.path(), node.config.router_ip);
        let taken = node.datapath(move |datapath| {
            let host_name = format!("lxc{last}");
            let ip = std::net::Ipv4Addr::new(10, 244, 1, last);
            let start = Instant::now();
            let spec = PodLinkSpec {
                netns: &netns,
                container_name: "eth0",
                host_name: &host_name,
                ip,
                router_ip,
                mtu: 1450,
            };
            let link = create_pod_link(&spec).unwrap();
            let made = start.elapsed();
            let id = u16::from(last);
            let endpoint = Endpoint {
                id,
                ip,
                mac: link.mac,
                host_mac: link.host_mac,
                ifindex: link.host_ifindex,
                identity: 1,
            };
            datapath.upsert_endpoint(&endpoint).unwrap();
            let attached = start.elapsed();
            datapath.remove_endpoint(id).unwrap();
            let released = start.elapsed();
            delete_pod_link(&host_name).unwrap();
            [
                made,
                attached - made,
                released - attached,
                start.elapsed() - released,
            ]
        });
        for (list, time) in times.iter_mut().zip(taken) {
            list.push(time);
        }
    }
    for (name, list) in [
        "create_pod_link",
        "upsert_endpoint",
        "remove_endpoint",
        "delete_pod_link",
    ]
    .iter()
    .zip(&mut times)
    {
        list.sort_unstable();
        println!(
            "{name:16} p50 {:?} p99 {:?}",
            list[list.len() / 2],
            list[list.len() * 99 / 100]
        );
    }
}

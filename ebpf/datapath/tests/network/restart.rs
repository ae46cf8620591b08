use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use aya::maps::{HashMap, MapData};
use datapath::link::delete_pod_link;
use datapath::{Config, Datapath, Direction, Error, Kernel, cleanup};
use datapath_abi::{FORMAT, reason};

use crate::cluster::Cluster;
use crate::traffic::{echo, open_tcp, ping, serve_tcp};

#[test]
fn connections_go_on_while_the_agent_is_away_and_while_it_takes_over() {
    let mut cluster = Cluster::new();
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    serve_tcp(&server.namespace, server.ip, 80);
    let (stream, _) = open_tcp(&client.namespace, server.ip, 80).unwrap();
    echo(&stream, 1 << 20);
    let before = cluster.nodes[0].count(reason::FORWARDED, Direction::Egress);
    cluster.nodes[0].stop();
    echo(&stream, 1 << 20);

    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let talk = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            echo(&stream, 10_000);
        }
    });
    for _ in 0..3 {
        cluster.nodes[0].start();
        cluster.nodes[0].stop();
    }
    cluster.nodes[0].start();
    stop.store(true, Ordering::Relaxed);
    talk.join().unwrap();

    let node = &cluster.nodes[0];
    assert!(
        node.count(reason::FORWARDED, Direction::Egress) > before,
        "the counters were kept"
    );
    assert_eq!(
        node.datapath(|datapath| datapath.endpoints().unwrap()),
        std::slice::from_ref(&client.endpoint)
    );
    assert_eq!(node.datapath(|datapath| datapath.nodes().unwrap().len()), 1);
    let links = fs_names(node, "links");
    assert_eq!(
        links.len(),
        4 + 4,
        "tunnel, host and both of the device, the cgroup: {links:?}"
    );
}

fn fs_names(node: &crate::cluster::Node, folder: &str) -> Vec<String> {
    let path = node.config.bpffs.join("gloonet").join(folder);
    node.namespace.run(move || {
        fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    })
}

#[test]
fn a_pod_whose_link_vanished_while_the_agent_was_away_is_forgotten() {
    let mut cluster = Cluster::new();
    let node = &mut cluster.nodes[0];
    let (gone, stays) = (node.pod(10), node.pod(11));
    node.stop();
    node.namespace
        .run(|| assert!(delete_pod_link("lxc10").unwrap()));
    node.start();
    assert_eq!(
        node.datapath(|datapath| datapath.endpoints().unwrap()),
        std::slice::from_ref(&stays.endpoint)
    );
    drop(gone);
}

#[test]
fn a_device_that_was_made_again_gets_its_program_again() {
    let mut cluster = Cluster::new();
    cluster.nodes[0].stop();
    cluster.nodes[0].namespace.ip("link del cilium_vxlan");
    cluster.nodes[0].start();
    assert_eq!(fs_names(&cluster.nodes[0], "links").len(), 4 + 4);
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    assert!(ping(&client.namespace, server.ip, 0));
}

#[test]
fn repeating_everything_changes_nothing() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let pod = node.pod(10);
    let routes = node.namespace.ip("route show");
    let links = fs_names(node, "links");
    let endpoint = pod.endpoint.clone();
    node.datapath(move |datapath| {
        datapath.upsert_endpoint(&endpoint).unwrap();
        for other in datapath.nodes().unwrap() {
            datapath.upsert_node(&other).unwrap();
        }
        for (prefix, entry) in datapath.ips().unwrap() {
            datapath.upsert_ip(prefix, entry).unwrap();
        }
    });
    assert_eq!(node.namespace.ip("route show"), routes);
    assert_eq!(fs_names(node, "links").len(), links.len());
}

#[test]
fn a_pinned_map_of_another_layout_is_refused_with_its_path() {
    let mut cluster = Cluster::new();
    let node = &mut cluster.nodes[0];
    node.stop();
    let path = node
        .config
        .bpffs
        .join(format!("gloonet/maps-v{FORMAT}/cilium_nodes"));
    let config = node.config.clone();
    let error = node.namespace.run(move || {
        fs::remove_file(&path).unwrap();
        let foreign = HashMap::<MapData, u32, u32>::create(16, 0).unwrap();
        foreign.pin(&path).unwrap();
        Kernel::open(config).unwrap_err().to_string()
    });
    assert!(
        error.contains("maps-v") && error.contains("cilium_nodes") && error.contains("key 4 bytes"),
        "{error}"
    );
}

#[test]
fn a_folder_that_is_no_bpffs_or_no_cgroup_is_refused() {
    let mut cluster = Cluster::new();
    let node = &mut cluster.nodes[0];
    node.stop();
    for config in [
        Config {
            bpffs: "/tmp".into(),
            ..node.config.clone()
        },
        Config {
            cgroup_root: "/tmp".into(),
            ..node.config.clone()
        },
        Config {
            devices: vec!["nowhere0".to_owned()],
            ..node.config.clone()
        },
        Config {
            mtu: Some(500),
            ..node.config.clone()
        },
    ] {
        let error = node
            .namespace
            .run(move || Kernel::open(config).unwrap_err());
        assert!(matches!(error, Error::Config(_)), "{error}");
    }
}

#[test]
fn cleanup_leaves_no_device_route_or_pin() {
    let mut cluster = Cluster::new();
    let node = &mut cluster.nodes[0];
    let pod = node.pod(10);
    node.stop();
    let bpffs = node.config.bpffs.clone();
    node.namespace.run(move || {
        cleanup(&bpffs).unwrap();
        assert!(!bpffs.join("gloonet").exists());
        cleanup(&bpffs).unwrap();
    });
    let links = node.namespace.ip("-br link");
    assert!(!links.contains("cilium_"), "{links}");
    let routes = node.namespace.ip("route show");
    assert!(!routes.contains("10.244."), "{routes}");
    drop(pod);
}

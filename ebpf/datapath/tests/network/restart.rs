use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use aya::maps::{HashMap, MapData};
use datapath::link::delete_pod_link;
use datapath::{
    Config, Datapath, Direction, Endpoint, Error, IpEntry, Kernel, PolicyEntry, PolicyKey, Service,
    Verdict, remnants,
};
use datapath_abi::{FORMAT, reason};
use ipnet::Ipv4Net;

use crate::cluster::{Cluster, Node, rules};
use crate::traffic::{echo, open_tcp, ping, serve_tcp, serve_udp};

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
        4 + 7,
        "tunnel, host and both of the device, the cgroup: {links:?}"
    );
}

fn fs_names(node: &Node, folder: &str) -> Vec<String> {
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
    assert_eq!(fs_names(&cluster.nodes[0], "links").len(), 4 + 7);
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    assert!(ping(&client.namespace, server.ip, 0));
}

#[test]
fn another_mtu_reaches_the_devices_of_an_earlier_start() {
    let mut cluster = Cluster::new();
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    let node = &mut cluster.nodes[0];
    for (device, pods) in [(1400, 1350), (9000, 8950)] {
        node.stop();
        node.config.mtu = Some(device);
        node.start();
        for name in ["cilium_host", "cilium_net", "cilium_vxlan"] {
            let link = node.namespace.ip(&format!("link show {name}"));
            assert!(link.contains(&format!("mtu {pods} ")), "{link}");
        }
    }
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

/// To the next process, what runs then is of another version.
pub(crate) fn age(node: &Node) {
    let root = node.config.bpffs.join("gloonet");
    node.namespace.run(move || {
        fs::rename(root.join(format!("maps-v{FORMAT}")), root.join("maps-v1")).unwrap();
        fs::rename(root.join(format!("live-v{FORMAT}")), root.join("live-v1")).unwrap();
    });
}

/// What the agent restores and learns again: here, what the datapath knew.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) endpoints: Vec<Endpoint>,
    ips: Vec<(Ipv4Net, IpEntry)>,
    nodes: Vec<datapath::Node>,
    services: Vec<Service>,
    policies: Vec<(u32, BTreeMap<PolicyKey, PolicyEntry>)>,
}

pub(crate) fn known(node: &Node) -> Known {
    node.datapath(|datapath| Known {
        endpoints: datapath.endpoints().unwrap(),
        ips: datapath.ips().unwrap(),
        nodes: datapath.nodes().unwrap(),
        services: datapath.services().unwrap(),
        policies: (datapath.policies().unwrap().into_iter())
            .map(|id| (id, datapath.policy(id).unwrap().unwrap()))
            .collect(),
    })
}

pub(crate) fn tell(node: &Node, known: Known) {
    node.datapath(move |datapath| {
        for (id, entries) in &known.policies {
            datapath.set_policy(*id, entries).unwrap();
        }
        for endpoint in &known.endpoints {
            datapath.upsert_endpoint(endpoint).unwrap();
        }
        for other in &known.nodes {
            datapath.upsert_node(other).unwrap();
        }
        for (prefix, entry) in &known.ips {
            datapath.upsert_ip(*prefix, *entry).unwrap();
        }
        for service in &known.services {
            datapath.upsert_service(service).unwrap();
        }
    });
}

/// Of the oldest TCP connection, from its originator.
fn packets(node: &Node) -> u64 {
    let flows = node.datapath(|datapath| datapath.flows().unwrap());
    let tcp = flows.iter().filter(|flow| flow.protocol == 6);
    tcp.map(|flow| flow.originator.packets).max().unwrap()
}

#[test]
fn maps_of_another_version_are_filled_beside_the_running_ones_and_no_connection_notices() {
    let mut cluster = Cluster::new();
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    serve_tcp(&server.namespace, server.ip, 80);
    let (stream, _) = open_tcp(&client.namespace, server.ip, 80).unwrap();
    echo(&stream, 1 << 20);
    let before = known(&cluster.nodes[0]);
    assert!(
        !before.endpoints.is_empty() && !before.nodes.is_empty() && !before.policies.is_empty()
    );
    cluster.nodes[0].stop();
    age(&cluster.nodes[0]);

    cluster.nodes[0].start();
    let node = &cluster.nodes[0];
    assert!(!node.datapath(Datapath::is_active));
    assert_eq!(node.datapath(|datapath| datapath.endpoints().unwrap()), []);
    echo(&stream, 1 << 20);
    assert!(ping(&client.namespace, server.ip, 0), "new ones still work");

    let mut closed = before.clone();
    for (_, entries) in &mut closed.policies {
        *entries = rules(Verdict::Deny);
    }
    tell(node, before);
    let seen = packets(node);
    node.datapath(|datapath| datapath.activate().unwrap());
    assert!(node.datapath(Datapath::is_active));
    echo(&stream, 1 << 20);
    assert!(packets(node) > seen, "the connection is still the same one");
    assert_eq!(
        fs_names(node, "").len(),
        4,
        "what nobody uses is gone: {:?}",
        fs_names(node, "")
    );
    tell(node, closed);
    node.datapath(|datapath| datapath.new_epoch().unwrap());
    assert!(
        !ping(&client.namespace, server.ip, 0),
        "the new maps are read"
    );
}

#[test]
fn what_was_allowed_under_the_old_maps_is_judged_by_the_new_ones_whatever_their_epoch() {
    let mut cluster = Cluster::new();
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    serve_udp(&server.namespace, server.ip, 53);
    let to = server.ip;
    let socket = client.namespace.run(move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect((to, 53)).unwrap();
        socket
    });
    let asks = |patience| {
        socket
            .set_read_timeout(Some(Duration::from_millis(patience)))
            .unwrap();
        socket.send(b"?").is_ok() && socket.recv(&mut [0; 99]).is_ok()
    };
    // An epoch that new maps, which begin to count anew, come to a little later.
    cluster.nodes[0].datapath(|datapath| (0..40).for_each(|_| datapath.new_epoch().unwrap()));
    assert!(asks(2000));
    let mut closed = known(&cluster.nodes[0]);
    for (_, entries) in &mut closed.policies {
        *entries = rules(Verdict::Deny);
    }
    cluster.nodes[0].stop();
    age(&cluster.nodes[0]);
    cluster.nodes[0].start();
    let node = &cluster.nodes[0];
    tell(node, closed);
    node.datapath(|datapath| datapath.activate().unwrap());
    for raised in 0..80 {
        assert!(!asks(5), "allowed once more after {raised} epochs");
        node.datapath(|datapath| datapath.new_epoch().unwrap());
    }
}

#[test]
fn a_take_over_that_ended_half_way_begins_again_and_the_running_one_goes_on() {
    let mut cluster = Cluster::new();
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    let before = known(&cluster.nodes[0]);
    cluster.nodes[0].stop();
    age(&cluster.nodes[0]);
    cluster.nodes[0].start();
    let mut half = before.clone();
    half.policies.clear();
    tell(&cluster.nodes[0], half);
    cluster.nodes[0].stop();
    assert!(ping(&client.namespace, server.ip, 0));
    cluster.nodes[0].start();
    let node = &cluster.nodes[0];
    assert!(!node.datapath(Datapath::is_active));
    assert_eq!(node.datapath(|datapath| datapath.endpoints().unwrap()), []);
    assert!(ping(&client.namespace, server.ip, 0));
    tell(node, before);
    node.datapath(|datapath| datapath.activate().unwrap());
    assert!(ping(&client.namespace, server.ip, 0));
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
fn what_an_agent_leaves_is_named_and_nothing_stays_of_it() {
    let mut cluster = Cluster::new();
    let node = &mut cluster.nodes[0];
    let pod = node.pod(10);
    node.stop();
    let pins = node.config.bpffs.join("gloonet");
    let named = [
        &format!("programs and maps in {}", pins.display()),
        "the programs on links of pods (1)",
        "device cilium_vxlan",
        "device cilium_host",
    ];
    assert_eq!(node.clean(), named);
    assert_eq!(node.clean(), [""; 0]);
    let kept = pins.clone();
    assert!(!node.namespace.run(move || kept.exists()));
    let links = node.namespace.ip("-br link");
    assert!(!links.contains("cilium_"), "{links}");
    assert!(links.contains("lxc10"), "{links}");
    let routes = node.namespace.ip("route show");
    assert!(!routes.contains("10.244."), "{routes}");
    drop(pod);
}

#[test]
fn what_is_left_is_not_looked_for_in_a_folder_that_is_no_bpffs() {
    let folder = tempfile::tempdir().unwrap();
    let error = remnants(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
}

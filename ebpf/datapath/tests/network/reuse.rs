use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use datapath::link::delete_pod_link;
use datapath::{Datapath, Direction, Verdict};

use crate::cluster::{ALLOW_ALL, Cluster, Pod, rules};
use crate::traffic::serve_udp;

/// Sends from a pod's port 4000 and waits for the answer.
fn ask(pod: &Pod, ip: Ipv4Addr) -> io::Result<usize> {
    pod.namespace.run(move || {
        let socket = UdpSocket::bind("0.0.0.0:4000")?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.send_to(b"?", (ip, 53))?;
        socket.recv(&mut [0; 64])
    })
}

/// From now on the pods of the first node are let out, and nobody in.
fn close(cluster: &Cluster) {
    let mut entries = rules(Verdict::Allow);
    for (key, entry) in &mut entries {
        if key.direction == Direction::Ingress {
            entry.verdict = Verdict::DefaultDeny;
        }
    }
    cluster.nodes[0].datapath(move |datapath| datapath.set_policy(ALLOW_ALL, &entries).unwrap());
}

#[test]
fn the_next_holder_of_an_address_gets_nothing_of_the_last_ones_connections() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let (client, server) = (other.pod(20), node.pod(10));
    serve_udp(&server.namespace, server.ip, 53);
    ask(&client, server.ip).unwrap();
    close(&cluster);
    ask(&client, server.ip).expect("the connection was allowed");
    node.datapath(|datapath| {
        datapath.remove_endpoint(10).unwrap();
        delete_pod_link("lxc10").unwrap();
    });
    let next = node.pod(10);
    serve_udp(&next.namespace, next.ip, 53);
    assert!(ask(&client, next.ip).is_err());
}

#[test]
fn a_pod_that_is_written_again_keeps_its_connections() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let (client, server) = (node.pod(10), other.pod(20));
    close(&cluster);
    let ip = server.ip;
    let pause = Duration::from_millis(400);
    server.namespace.run(move || {
        let socket = UdpSocket::bind((ip, 53)).unwrap();
        std::thread::spawn(move || {
            let (_, from) = socket.recv_from(&mut [0; 8]).unwrap();
            std::thread::sleep(pause);
            socket.send_to(b"!", from).unwrap();
        });
    });
    let waiting = std::thread::scope(|scope| {
        let (client, node) = (&client, node);
        let waiting = scope.spawn(move || ask(client, ip));
        std::thread::sleep(pause / 2);
        let mut endpoint = client.endpoint.clone();
        endpoint.identity = 4242;
        node.datapath(move |datapath| {
            datapath.upsert_endpoint(&endpoint).unwrap();
            datapath.new_epoch().unwrap();
        });
        waiting.join().unwrap()
    });
    waiting.expect("the answer");
}

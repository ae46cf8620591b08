use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::Duration;

use datapath::{Datapath, Direction, EventKind, PolicyKey, Verdict};
use datapath_abi::reason;

use crate::cluster::{ALLOW_ALL, Cluster, Node, rules};
use crate::traffic::{answers, echo, open_tcp, ping, serve_tcp, serve_udp, tcp, udp};

fn set(node: &Node, id: u32, verdicts: [(Direction, Verdict); 2]) {
    let entries: BTreeMap<_, _> = verdicts
        .into_iter()
        .flat_map(|(direction, verdict)| {
            rules(verdict)
                .into_iter()
                .filter(move |(key, _): &(PolicyKey, _)| key.direction == direction)
        })
        .collect();
    node.datapath(move |datapath| {
        datapath.set_policy(id, &entries).unwrap();
        assert_eq!(datapath.policy(id).unwrap().unwrap(), entries);
    });
}

/// The agent lets all pods of a node be judged by this from now on.
fn close(node: &Node) {
    let entries = rules(Verdict::DefaultDeny);
    node.datapath(move |datapath| {
        datapath.set_policy(ALLOW_ALL, &entries).unwrap();
        datapath.new_epoch().unwrap();
    });
}

#[test]
fn answers_come_back_on_every_path_where_nothing_may_be_begun_and_a_new_epoch_ends_it() {
    let cluster = Cluster::new();
    let [near, far] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let client = near.pod(10);
    set(
        near,
        ALLOW_ALL,
        [
            (Direction::Egress, Verdict::Allow),
            (Direction::Ingress, Verdict::DefaultDeny),
        ],
    );
    let server = far.pod(20);
    serve_tcp(&server.namespace, server.ip, 80);
    serve_udp(&server.namespace, server.ip, 53);
    serve_udp(&cluster.outside, crate::cluster::OUTSIDE, 53);
    let (stream, _) = open_tcp(&client.namespace, server.ip, 80).unwrap();
    echo(&stream, 1 << 20);
    assert_eq!(udp(&client.namespace, server.ip, 53, 8000).unwrap().2, 8000);
    assert!(udp(&client.namespace, crate::cluster::OUTSIDE, 53, 9000).is_ok());
    assert!(ping(&client.namespace, server.ip, 56));
    assert!(!ping(&server.namespace, client.ip, 56));
    assert!(near.count(reason::POLICY_DENIED, Direction::Ingress) > 0);

    near.datapath(|datapath| datapath.new_epoch().unwrap());
    echo(&stream, 1 << 20);
    close(far);
    assert!(!answers(&stream), "the open connection goes on");
    assert!(tcp(&client.namespace, server.ip, 80).is_err());
    assert!(far.count(reason::POLICY_DENIED, Direction::Ingress) > 0);
}

#[test]
fn a_refused_port_is_told_through_the_tunnel_to_a_pod_that_takes_nothing() {
    let cluster = Cluster::new();
    let [near, far] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let (client, server) = (near.pod(10), far.pod(20));
    let half = |direction, other| [(direction, Verdict::Allow), (other, Verdict::DefaultDeny)];
    set(near, ALLOW_ALL, half(Direction::Egress, Direction::Ingress));
    set(far, ALLOW_ALL, half(Direction::Ingress, Direction::Egress));
    let ip = server.ip;
    let refused = client.namespace.run(move || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.connect((ip, 4711))?;
        socket.send(b"anybody?")?;
        socket.recv(&mut [0; 8])
    });
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
}

#[test]
fn flows_and_policies_outlive_the_agent() {
    let mut cluster = Cluster::new();
    let (client, server) = (cluster.nodes[0].pod(10), cluster.nodes[1].pod(20));
    serve_tcp(&server.namespace, server.ip, 80);
    let (stream, _) = open_tcp(&client.namespace, server.ip, 80).unwrap();
    let node = &mut cluster.nodes[0];
    node.stop();
    node.start();
    let (flows, policies, gone) = node.datapath(|datapath| {
        let flows = datapath.flows().unwrap();
        let policies = datapath.policies().unwrap();
        datapath.remove_policy(77).unwrap();
        (flows, policies, datapath.collect_flows().unwrap())
    });
    let flow = flows
        .iter()
        .find(|flow| flow.protocol == 6)
        .expect("the connection");
    assert_eq!(
        (flow.originator.ip, flow.responder.ip),
        (client.ip, server.ip)
    );
    assert_eq!(flow.responder.port, 80);
    assert!(flow.seen_reply && !flow.closing && flow.originator.packets > 2);
    assert_eq!(policies, [ALLOW_ALL]);
    assert!(gone.alive.tcp >= 1 && gone.deleted.tcp == 0);
    echo(&stream, 1 << 20);
    let flushed = node.datapath(|datapath| datapath.flush_flows().unwrap());
    assert!(flushed >= 1);
    echo(&stream, 1 << 20);
}

#[test]
fn a_policy_changes_entry_by_entry() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let all: Vec<_> = rules(Verdict::Allow).into_iter().collect();
    let deny: Vec<_> = rules(Verdict::Deny).into_iter().collect();
    let narrow = PolicyKey {
        protocol: 6,
        port: 80,
        port_bits: 16,
        ..all[0].0
    };
    let entry = all[0].1;
    node.datapath(move |datapath| {
        datapath
            .update_policy(ALLOW_ALL, &[(narrow, entry), deny[0]], &[all[1].0])
            .unwrap();
        let found = datapath.policy(ALLOW_ALL).unwrap().unwrap();
        assert_eq!(found, BTreeMap::from([(narrow, entry), deny[0]]));
        assert!(datapath.update_policy(4711, &[deny[0]], &[]).is_err());
        let many: Vec<_> = (1..=16_384)
            .map(|identity| (PolicyKey { identity, ..narrow }, entry))
            .collect();
        let error = datapath.update_policy(ALLOW_ALL, &many, &[]).unwrap_err();
        assert!(error.to_string().contains("16386 entries"), "{error}");
        assert_eq!(datapath.policy(ALLOW_ALL).unwrap().unwrap(), found);
    });
}

#[test]
fn events_reach_their_reader_and_there_is_one() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let (client, server) = (node.pod(10), node.pod(20));
    let mut reader = node.datapath(|datapath| {
        let reader = datapath.events().unwrap();
        assert!(datapath.events().is_err());
        reader
    });
    assert!(ping(&client.namespace, server.ip, 56));
    sleep(Duration::from_millis(50));
    let events = reader.next(Duration::from_secs(2)).unwrap();
    let verdicts = events
        .iter()
        .filter(|event| event.kind == EventKind::PolicyVerdict { denied: None });
    assert_eq!(verdicts.count(), 2, "{events:?}");
    assert!(events.iter().all(|event| event.source_identity != 0));
    drop(reader);
    node.datapath(|datapath| {
        drop(datapath.events().unwrap());
        assert_eq!(datapath.lost_events().unwrap(), 0);
    });
}

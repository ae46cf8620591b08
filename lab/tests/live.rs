//! Tests that start real clusters. They need root and the built programs, so they run only with `GLOONET_LAB=1`:
//! `GLOONET_LAB=1 cargo test -p gloonet-lab --test live`.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail the test they serve"
)]

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gloonet_lab::addressing::Ordinal;
use gloonet_lab::faults::{Effect, Match, Rule};
use gloonet_lab::{Cluster, Images, Impairment, Options, Part, Spot, frame, quiet};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn wanted() -> bool {
    std::env::var("GLOONET_LAB").is_ok_and(|v| v == "1")
}

/// Takes the cluster down when the test ends, also when it fails.
struct Guard(Cluster);

impl Guard {
    fn start(name: &str, workers: u32) -> Self {
        let cluster = Cluster::open(name).unwrap();
        cluster.down(&quiet).unwrap();
        let guard = Self(cluster);
        guard
            .0
            .up(
                &Options {
                    workers,
                    images: Images::Essential,
                    ..Options::default()
                },
                &quiet,
            )
            .unwrap();
        guard
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.down(&quiet);
    }
}

/// What the machine itself shows of its network: nothing of a lab may ever be in it.
fn machine_network() -> String {
    let ip = |words: &str| {
        let output = Command::new("ip").args(words.split(' ')).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let links: BTreeSet<String> = ip("-o link")
        .lines()
        .filter_map(|l| l.split(": ").nth(1).map(str::to_owned))
        .collect();
    format!(
        "{links:?}\n{}\n{}",
        ip("-4 addr show scope global"),
        ip("route show table all type unicast")
    )
}

/// Every namespace the processes of a cluster live in, as the kernel names them.
fn namespaces_of(cluster: &Cluster) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for node in cluster.nodes().unwrap() {
        let pid = node.init_pid().unwrap().unwrap();
        for kind in ["net", "mnt", "uts", "cgroup", "pid"] {
            found.insert(std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap());
        }
    }
    found
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok())
}

/// Lines that tell what is left of a cluster on the machine.
fn remains(cluster: &str, id: &str, namespaces: &BTreeSet<PathBuf>) -> Vec<String> {
    let mut left = Vec::new();
    for pid in processes() {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if String::from_utf8_lossy(&environ).contains(id) {
            left.push(format!("process {pid} carries the cluster's marker"));
        }
        for kind in ["net", "mnt", "uts", "cgroup", "pid"] {
            let namespace =
                std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap_or_default();
            if namespaces.contains(&namespace) {
                left.push(format!(
                    "process {pid} is in namespace {}",
                    namespace.display()
                ));
            }
        }
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let ours = |line: &&str| {
        line.contains(&format!("gnl-{cluster}-"))
            || line.contains(&format!("gloonet-lab/{cluster}/"))
    };
    left.extend(
        mounts
            .lines()
            .filter(ours)
            .map(|line| format!("mount {line}")),
    );
    let cgroups = Command::new("find")
        .args([
            "/sys/fs/cgroup",
            "-path",
            &format!("*gloonet-lab/{cluster}*"),
        ])
        .output()
        .unwrap();
    left.extend(
        String::from_utf8_lossy(&cgroups.stdout)
            .lines()
            .map(|line| format!("cgroup {line}")),
    );
    let pins: Vec<PathBuf> = std::fs::read_dir("/run/netns")
        .into_iter()
        .flat_map(|entries| entries.flatten().map(|e| e.path()))
        .collect();
    left.extend(
        pins.iter()
            .filter(|p| p.display().to_string().contains(&format!("gnl-{cluster}-")))
            .map(|p| format!("pin {}", p.display())),
    );
    if Path::new("/var/lib/gloonet-lab").join(cluster).exists() {
        left.push("state folder".into());
    }
    left
}

/// Whether a kubelet behind a door says within three seconds that it is well.
fn answers(cluster: &Cluster, node: &str, door: u16) -> bool {
    let (server, name) = (
        format!("--server=https://127.0.0.1:{door}"),
        format!("--tls-server-name={node}"),
    );
    let words = [
        server.as_str(),
        name.as_str(),
        "--request-timeout=3s",
        "get",
        "--raw",
        "/healthz",
    ];
    cluster.kubectl().args(words).output().unwrap().stdout == b"ok"
}

/// A kubelet listens a moment after it was started, and catches up a moment after it was frozen.
fn comes_to_answer(cluster: &Cluster, node: &str, door: u16) -> bool {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = answers(cluster, node, door);
        if answer || Instant::now() > patience {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

fn kill_hard(pid: u32) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
}

fn pid_of(cluster: &Cluster, process: &str) -> u32 {
    cluster.state().unwrap().processes[process].pid.unwrap()
}

#[test]
fn down_leaves_nothing_behind_also_after_a_crash() {
    if !wanted() {
        return;
    }
    let network = machine_network();
    let guard = Guard::start("leak", 1);
    let cluster = &guard.0;
    assert_eq!(
        machine_network(),
        network,
        "a running lab shows in the machine's network"
    );
    let (id, namespaces) = (cluster.state().unwrap().id, namespaces_of(cluster));

    // A machine that crashes in the middle: some processes are gone, of others nobody wrote down the pid.
    kill_hard(pid_of(cluster, "leak-worker-1/containerd"));
    kill_hard(pid_of(cluster, "leak-control-plane/kube-apiserver"));
    cluster.forget_pid("leak-control-plane/init").unwrap();
    cluster.forget_pid("door").unwrap();
    cluster.down(&quiet).unwrap();

    // Who was killed without a record is nobody's child to wait for: the kernel takes it away a moment later.
    let patience = Instant::now() + Duration::from_secs(5);
    let left = || remains("leak", &id, &namespaces);
    while !left().is_empty() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(left(), Vec::<String>::new());
    assert_eq!(machine_network(), network);
}

#[test]
fn a_second_up_changes_nothing_and_repairs_what_was_killed() {
    if !wanted() {
        return;
    }
    let guard = Guard::start("again", 1);
    let cluster = &guard.0;
    let options = Options {
        workers: 1,
        images: Images::Essential,
        ..Options::default()
    };
    let before = cluster.state().unwrap();
    assert!(
        !cluster.up(&options, &quiet).unwrap(),
        "nothing was missing"
    );
    assert_eq!(cluster.state().unwrap(), before);

    kill_hard(pid_of(cluster, "again-worker-1/init"));
    kill_hard(pid_of(cluster, "again-control-plane/etcd"));
    kill_hard(pid_of(cluster, "door"));
    assert!(cluster.up(&options, &quiet).unwrap());
    assert_eq!(cluster.status().unwrap().dead(), Vec::<String>::new());
    let node = cluster.node("again-worker-1").unwrap();
    assert!(node.exec(["ctr", "version"]).unwrap().status.success());
}

#[test]
fn a_node_is_added_restarted_frozen_and_removed() {
    if !wanted() {
        return;
    }
    let guard = Guard::start("nodes", 1);
    let cluster = &guard.0;
    let name = cluster.add_node(&quiet).unwrap();
    assert_eq!(name, "nodes-worker-2");
    let node = cluster.node(&name).unwrap();
    let (init, containerd) = (
        node.init_pid().unwrap(),
        pid_of(cluster, "nodes-worker-2/containerd"),
    );
    node.restart(Part::Containerd).unwrap();
    assert_eq!(
        node.init_pid().unwrap(),
        init,
        "only containerd was restarted"
    );
    assert_ne!(pid_of(cluster, "nodes-worker-2/containerd"), containerd);
    node.restart(Part::Whole).unwrap();
    assert_ne!(node.init_pid().unwrap(), init);
    let host = node.exec(["hostname"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&host.stdout), "nodes-worker-2\n");

    let address = cluster.interfaces(&Spot::Node(name.clone())).unwrap()["eth0"].addresses[0];
    let door = cluster
        .open_door(&Spot::Outside, SocketAddrV4::new(address, 10250), None)
        .unwrap();
    assert!(comes_to_answer(cluster, &name, door));
    node.pause(true).unwrap();
    assert!(!answers(cluster, &name, door), "a frozen node says nothing");
    let refused = node.exec(["hostname"]).unwrap_err().to_string();
    assert!(refused.contains("resume"), "{refused}");
    node.pause(false).unwrap();
    assert!(comes_to_answer(cluster, &name, door));
    cluster.remove_node(&name, true).unwrap();
    assert!(cluster.node(&name).is_err());
    let objects = cluster
        .kubectl()
        .args(["get", "nodes", "-o", "name"])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&objects.stdout).contains(&name));
}

#[test]
fn two_clusters_do_not_see_each_other_until_they_are_joined() {
    if !wanted() {
        return;
    }
    let (left, right) = (Guard::start("left", 0), Guard::start("right", 0));
    let plan = |guard: &Guard| guard.0.state().unwrap().addressing();
    assert_ne!(plan(&left).door_port(), plan(&right).door_port());
    assert_ne!(plan(&left).node_cidr(), plan(&right).node_cidr());
    for (guard, node) in [
        (&left, "node/left-control-plane\n"),
        (&right, "node/right-control-plane\n"),
    ] {
        let nodes = guard
            .0
            .kubectl()
            .args(["get", "nodes", "-o", "name"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&nodes.stdout), node);
    }
    let other = plan(&right).node(Ordinal::CONTROL_PLANE).to_string();
    let node = left.0.node("left-control-plane").unwrap();
    let ping = node
        .exec(["busybox", "ping", "-c", "1", "-W", "1", &other])
        .unwrap();
    assert!(!ping.status.success(), "left reaches right");
    left.0.join(&right.0).unwrap();
    left.0.join(&right.0).unwrap();
    // From a node of the one, over the road, to a node's port of the other that leads to its kubelet.
    let address = plan(&right).node(Ordinal::CONTROL_PLANE);
    let kubelet = SocketAddrV4::new(address, 10250);
    let balancer = right
        .0
        .open_balancer("right-control-plane", 9900, kubelet)
        .unwrap();
    assert_eq!(balancer, SocketAddrV4::new(address, 9900));
    let from = Spot::Node("left-control-plane".into());
    let door = left.0.open_door(&from, balancer, None).unwrap();
    assert!(comes_to_answer(&right.0, "right-control-plane", door));
    right.0.link("outside").unwrap().cut().unwrap();
    assert!(
        !answers(&right.0, "right-control-plane", door),
        "the way out is cut"
    );
    right.0.link("outside").unwrap().heal().unwrap();
    assert!(comes_to_answer(&right.0, "right-control-plane", door));
    left.0.down(&quiet).unwrap();
    assert!(
        right.0.status().unwrap().dead().is_empty(),
        "taking one down leaves the other alone"
    );
}

#[test]
fn a_second_api_server_serves_while_the_first_is_stopped() {
    if !wanted() {
        return;
    }
    let guard = Guard::start("pair", 0);
    let cluster = &guard.0;
    let second = cluster.state().unwrap().addressing().second_api();
    cluster.second_api(true).unwrap();
    let control = Spot::Node("pair-control-plane".into());
    let door = cluster
        .open_door(&control, SocketAddrV4::new(second, 6443), None)
        .unwrap();
    let server = format!("--server=https://127.0.0.1:{door}");
    let ready = || {
        cluster
            .kubectl()
            .args([&server, "get", "--raw", "/readyz"])
            .output()
            .unwrap()
            .status
            .success()
    };
    let end = Instant::now() + Duration::from_secs(30);
    while !ready() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    cluster.stop_api().unwrap();
    assert!(ready());
    let first = cluster
        .kubectl()
        .args(["get", "--raw", "/readyz"])
        .output()
        .unwrap();
    assert!(!first.status.success(), "the first one is stopped");
    cluster.start_api().unwrap();
    cluster.second_api(false).unwrap();
    assert!(!ready());
}

#[test]
fn a_door_leads_to_a_listener_in_the_lab_and_is_closed_again() {
    if !wanted() {
        return;
    }
    let guard = Guard::start("door", 1);
    let cluster = &guard.0;
    let address = cluster
        .state()
        .unwrap()
        .addressing()
        .node(Ordinal::CONTROL_PLANE);
    let kubelet = SocketAddrV4::new(address, 10250);
    let port = cluster.open_door(&Spot::Outside, kubelet, None).unwrap();
    assert!(answers(cluster, "door-control-plane", port));
    assert!(cluster.doors().unwrap().contains(&port));
    cluster.close_door(port).unwrap();
    assert!(!answers(cluster, "door-control-plane", port));
}

#[test]
fn a_cable_is_pulled_made_slow_made_lossy_and_mended() {
    if !wanted() {
        return;
    }
    let guard = Guard::start("cable", 1);
    let cluster = &guard.0;
    let node = cluster.node("cable-worker-1").unwrap();
    let outside = cluster.state().unwrap().addressing().outside().to_string();
    // Four seconds: a neighbour that was asked for in vain is asked for again only every second.
    let answers = |count: &str| {
        let ping = node
            .exec([
                "busybox", "ping", "-c", count, "-W", "4", "-i", "0.05", &outside,
            ])
            .unwrap();
        String::from_utf8(ping.stdout)
            .unwrap()
            .matches("bytes from")
            .count()
    };
    let link = cluster.link("cable-worker-1").unwrap();
    assert_eq!(answers("3"), 3);
    link.cut().unwrap();
    assert_eq!(answers("1"), 0);
    link.impair(Impairment {
        delay_ms: 100,
        ..Impairment::default()
    })
    .unwrap();
    let start = Instant::now();
    assert_eq!(answers("1"), 1);
    assert!(
        start.elapsed() >= Duration::from_millis(200),
        "there and back, {:?}",
        start.elapsed()
    );
    link.impair(Impairment {
        loss_percent: 50,
        seed: 1,
        ..Impairment::default()
    })
    .unwrap();
    assert!(
        (1..30).contains(&answers("30")),
        "some are lost, some arrive"
    );
    link.heal().unwrap();
    assert_eq!(answers("3"), 3);
}

#[test]
fn a_forged_frame_arrives_as_it_was_written() {
    if !wanted() {
        return;
    }
    let guard = Guard::start("forge", 1);
    let cluster = &guard.0;
    let (node, outside) = (Spot::Node("forge-worker-1".into()), Spot::Outside);
    let mac = |spot: &Spot| cluster.interfaces(spot).unwrap()["eth0"].mac.unwrap();
    let (from, to) = (
        "192.0.2.7:4789".parse().unwrap(),
        "172.30.0.1:9".parse().unwrap(),
    );
    let packet = frame::udp(from, to, b"a source that is not the node's");
    let forged = frame::ethernet(mac(&node), mac(&outside), &packet);
    let listener = cluster.packets(&outside, "eth0").unwrap();
    cluster.inject(&node, "eth0", &forged).unwrap();
    let seen = listener
        .expect(Duration::from_secs(2), |f| f == forged.as_slice())
        .unwrap();
    assert_eq!(seen, Some(forged));
}

#[test]
fn faults_hit_the_requests_they_are_for_and_no_other() {
    if !wanted() {
        return;
    }
    let guard = Guard::start("fault", 1);
    let cluster = &guard.0;
    let get = |what: &str| {
        let output = cluster
            .kubectl()
            .args(["get", what, "-o", "name"])
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let faults = cluster.faults();
    faults.enable(true).unwrap();
    assert!(
        get("nodes").contains("node/fault-worker-1"),
        "without orders everything passes"
    );
    let nodes = Match {
        path_prefix: Some("/api/v1/nodes".into()),
        user: Some("admin".into()),
        ..Match::default()
    };
    faults
        .set(vec![Rule::always(nodes.clone(), Effect::InternalError)])
        .unwrap();
    assert!(get("nodes").contains("InternalError"));
    assert!(get("namespaces").contains("namespace/kube-system"));
    assert!(faults.tally().hits() >= 1);
    let retried = Rule {
        times: Some(1),
        ..Rule::always(nodes, Effect::TooManyRequests { retry_after: 1 })
    };
    faults.set(vec![retried]).unwrap();
    assert!(
        get("nodes").contains("node/fault-worker-1"),
        "kubectl tries again after 429"
    );
    assert_eq!(faults.tally().hits(), 1);

    let mut watch = cluster
        .kubectl()
        .args(["get", "nodes", "-w"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(watch.try_wait().unwrap().is_none(), "a watch stays open");
    let end = Instant::now() + Duration::from_secs(5);
    while watch.try_wait().unwrap().is_none() {
        // Again: it may not have been open yet.
        faults.cut_watches().unwrap();
        assert!(Instant::now() < end, "a cut watch ends");
        std::thread::sleep(Duration::from_millis(50));
    }
    faults.enable(false).unwrap();
    assert!(get("nodes").contains("node/fault-worker-1"));
}

#[test]
fn a_cluster_name_that_is_a_path_is_refused() {
    assert!(Cluster::open("../etc").is_err());
}

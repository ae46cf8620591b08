//! Namespaces, bridge and links of a cluster. No interface and no route of it is ever in the machine's own namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::addressing::{Addressing, Ordinal};
use crate::command::{self, run};

const BRIDGE: &str = "br0";
/// The switch's port that leads to the host beyond the cluster.
pub const OUTSIDE: &str = "outside";
const PINS: &str = "/run/netns";

/// Why the network is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `ip`, `sysctl` or the like failed.
    #[error("cannot change the lab's network")]
    Tool(#[from] command::Error),
    /// The list of mounts could not be read.
    #[error("cannot read /proc/self/mountinfo")]
    Mounts(#[source] std::io::Error),
}

/// The file a network namespace is pinned at.
pub fn pin(namespace: &str) -> PathBuf {
    Path::new(PINS).join(namespace)
}

/// Whether a network namespace of this name is pinned. A file that is left without its mount does not count.
pub fn exists(namespace: &str) -> Result<bool, Error> {
    let wanted = pin(namespace);
    Ok(mount_points()?
        .iter()
        .any(|point| Path::new(point) == wanted))
}

/// Whether `/run/netns` is a mount of its own, which the first `ip netns add` on a machine makes it.
pub fn pins_are_mounted() -> Result<bool, Error> {
    Ok(mount_points()?.iter().any(|point| point == PINS))
}

fn mount_points() -> Result<Vec<String>, Error> {
    let text = fs::read_to_string("/proc/self/mountinfo").map_err(Error::Mounts)?;
    Ok(text
        .lines()
        .filter_map(|line| line.split(' ').nth(4).map(str::to_owned))
        .collect())
}

fn ip(words: &str) -> Result<(), Error> {
    run(Command::new("ip").args(words.split(' ')))?;
    Ok(())
}

fn ip_in(namespace: &str, words: &str) -> Result<(), Error> {
    run(Command::new("ip")
        .args(["-n", namespace])
        .args(words.split(' ')))?;
    Ok(())
}

/// Makes a namespace unless it is there; one that was cut short on its way left an empty file, which is in the way.
fn ensure(namespace: &str) -> Result<(), Error> {
    if !exists(namespace)? {
        let _ = fs::remove_file(pin(namespace));
        ip(&format!("netns add {namespace}"))?;
    }
    ip_in(namespace, "link set lo up")
}

fn has_link(namespace: &str, link: &str) -> bool {
    ip_in(namespace, &format!("link show {link}")).is_ok()
}

/// Makes the switch: a namespace with a bridge, which the cluster's links meet in.
pub fn make_switch(plan: &Addressing) -> Result<(), Error> {
    let switch = plan.switch_namespace();
    ensure(&switch)?;
    if !has_link(&switch, BRIDGE) {
        ip_in(&switch, &format!("link add {BRIDGE} type bridge"))?;
    }
    ip_in(&switch, &format!("link set {BRIDGE} up"))
}

/// Makes the host beyond the cluster: reachable from all nodes, with no route but to them.
pub fn make_outside(plan: &Addressing) -> Result<(), Error> {
    let outside = plan.outside_namespace();
    ensure(&outside)?;
    plug(plan, &outside, OUTSIDE, &format!("{}/24", plan.outside()))
}

/// Makes a road between two clusters: a cable between their outside hosts, each of which routes for the other's nodes.
///
/// The cable has no addresses of its own; each end answers for its cluster's outside host, the next hop. It goes with
/// whichever end goes first.
pub fn make_road(here: &Addressing, there: &Addressing) -> Result<(), Error> {
    let ends = [here.outside_namespace(), there.outside_namespace()];
    let [near, far] = [there.road(), here.road()];
    if !has_link(&ends[0], &near) {
        ip_in(
            &ends[0],
            &format!(
                "link add {near} type veth peer name {far} netns {}",
                ends[1]
            ),
        )?;
    }
    for (namespace, port, beyond) in [(&ends[0], &near, there), (&ends[1], &far, here)] {
        ip_in(namespace, &format!("link set {port} up"))?;
        let forwarding = ["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"];
        run(Command::new("ip")
            .args(["netns", "exec", namespace])
            .args(forwarding))?;
        let route = format!(
            "route replace {} via {} dev {port} onlink",
            beyond.node_cidr(),
            beyond.outside()
        );
        ip_in(namespace, &route)?;
    }
    Ok(())
}

/// Makes a node's namespace with its one interface, `eth0`, and a default route to the outside host.
pub fn make_node(plan: &Addressing, ordinal: Ordinal) -> Result<(), Error> {
    let namespace = plan.node_namespace(ordinal);
    ensure(&namespace)?;
    plug(
        plan,
        &namespace,
        &plan.port(ordinal),
        &format!("{}/24", plan.node(ordinal)),
    )?;
    ip_in(
        &namespace,
        &format!("route replace default via {}", plan.outside()),
    )?;
    let forwarding = ["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"];
    run(Command::new("ip")
        .args(["netns", "exec", &namespace])
        .args(forwarding))?;
    Ok(())
}

/// A cable from a namespace's `eth0` to the switch's `port`.
fn plug(plan: &Addressing, namespace: &str, port: &str, address: &str) -> Result<(), Error> {
    let switch = plan.switch_namespace();
    if !has_link(&switch, port) {
        ip_in(
            &switch,
            &format!("link add {port} type veth peer name eth0 netns {namespace}"),
        )?;
    }
    ip_in(&switch, &format!("link set {port} master {BRIDGE} up"))?;
    ip_in(namespace, &format!("addr replace {address} dev eth0"))?;
    ip_in(namespace, "link set eth0 up")
}

/// Adds an address to a node's `eth0`; one that is there is fine.
pub fn add_address(
    plan: &Addressing,
    ordinal: Ordinal,
    address: std::net::Ipv4Addr,
) -> Result<(), Error> {
    ip_in(
        &plan.node_namespace(ordinal),
        &format!("addr replace {address}/24 dev eth0"),
    )
}

/// Removes an additional address from a node's `eth0`.
pub fn remove_address(
    plan: &Addressing,
    ordinal: Ordinal,
    address: std::net::Ipv4Addr,
) -> Result<(), Error> {
    ip_in(
        &plan.node_namespace(ordinal),
        &format!("addr del {address}/24 dev eth0"),
    )
}

/// Routes a pod network of the reference CNI over a peer.
pub fn route(namespace: &str, cidr: &str, via: std::net::Ipv4Addr) -> Result<(), Error> {
    ip_in(namespace, &format!("route replace {cidr} via {via}"))
}

/// Unpins a namespace. Its cable is pulled first, since the kernel takes a dead namespace apart only later and the port's
/// name would be taken until then.
pub fn remove(plan: &Addressing, namespace: &str, port: Option<&str>) -> Result<(), Error> {
    let switch = plan.switch_namespace();
    if let Some(port) = port
        && exists(&switch)?
    {
        // No such port: the crash this cleans up after came before it was made.
        let _ = ip_in(&switch, &format!("link del {port}"));
    }
    if exists(namespace)? {
        ip(&format!("netns del {namespace}"))?;
    } else {
        // `ip netns add` that was cut short leaves the empty file.
        let _ = fs::remove_file(pin(namespace));
    }
    Ok(())
}

/// Gives back the mount on `/run/netns`, unless somebody still has a namespace there.
pub fn remove_pins_mount() -> Result<(), Error> {
    let empty = fs::read_dir(PINS).is_ok_and(|mut entries| entries.next().is_none());
    if empty && pins_are_mounted()? {
        run(Command::new("umount").arg(PINS))?;
    }
    Ok(())
}

/// A cable between the switch and the `eth0` of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cable {
    /// The switch's port.
    pub port: String,
    /// The other end's namespace.
    pub namespace: String,
}

impl Cable {
    /// The bridge's side of a pair that stands between the port and the bridge.
    fn near_end(&self) -> String {
        format!("r-{}", self.port)
    }

    /// The side of that pair a relay serves.
    pub fn far_end(&self) -> String {
        format!("s-{}", self.port)
    }
}

/// Takes a port off the bridge and puts a pair of interfaces there instead, for a relay between the two.
pub fn interpose(plan: &Addressing, cable: &Cable) -> Result<(), Error> {
    let (switch, near, far) = (plan.switch_namespace(), cable.near_end(), cable.far_end());
    ip_in(
        &switch,
        &format!("link add {near} type veth peer name {far}"),
    )?;
    // A relay sees frames as they are: none may be left for hardware to cut into pieces or to give a checksum.
    offload(&switch, &near, false)?;
    offload(&cable.namespace, "eth0", false)?;
    ip_in(&switch, &format!("link set {} nomaster", cable.port))?;
    ip_in(&switch, &format!("link set {near} master {BRIDGE} up"))?;
    ip_in(&switch, &format!("link set {far} up"))?;
    wait_carrier(plan, &near, &cable.namespace)
}

/// Undoes [`interpose`]; a cable that is straight already stays so.
pub fn plug_straight(plan: &Addressing, cable: &Cable) -> Result<(), Error> {
    remove_interposed(plan, cable)?;
    ip_in(
        &plan.switch_namespace(),
        &format!("link set {} master {BRIDGE}", cable.port),
    )?;
    offload(&cable.namespace, "eth0", true)
}

/// Removes the pair [`interpose`] made, if it is there.
pub fn remove_interposed(plan: &Addressing, cable: &Cable) -> Result<(), Error> {
    let switch = plan.switch_namespace();
    if exists(&switch)? && has_link(&switch, &cable.near_end()) {
        ip_in(&switch, &format!("link del {}", cable.near_end()))?;
    }
    Ok(())
}

fn offload(namespace: &str, interface: &str, on: bool) -> Result<(), Error> {
    let state = if on { "on" } else { "off" };
    let pin = format!("--net={}", pin(namespace).display());
    let words = [
        "ethtool", "-K", interface, "tx", state, "tso", state, "gso", state,
    ];
    run(Command::new("nsenter").arg(pin).args(words))?;
    Ok(())
}

/// Pulls a cable at the switch, or plugs it in and waits until frames flow.
pub fn set_port(plan: &Addressing, cable: &Cable, up: bool) -> Result<(), Error> {
    let state = if up { "up" } else { "down" };
    ip_in(
        &plan.switch_namespace(),
        &format!("link set {} {state}", cable.port),
    )?;
    if up {
        wait_carrier(plan, &cable.port, &cable.namespace)
    } else {
        Ok(())
    }
}

/// The kernel tells of a new carrier up to a second late, and a bridge forwards nothing until it was told.
fn wait_carrier(plan: &Addressing, bridge_port: &str, namespace: &str) -> Result<(), Error> {
    let switch = plan.switch_namespace();
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let port =
            run(Command::new("bridge").args(["-n", &switch, "link", "show", "dev", bridge_port]))?;
        let interface =
            run(Command::new("ip").args(["-n", namespace, "link", "show", "dev", "eth0"]))?;
        let flows = port.contains("state forwarding") && interface.contains("state UP");
        if flows || Instant::now() > end {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

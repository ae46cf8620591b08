//! Sockets that listen: as `docs/threat-model.md` declares them, and as they are found in a cluster's network namespaces.

mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use gloonet_lab::Cluster;

/// Programs of the lab's Kubernetes and of its tests: not ours, so not in the table.
const OF_THE_LAB: [&str; 12] = [
    "agnhost",
    "containerd",
    "containerd-shim-runc-v2",
    "coredns",
    "ctr",
    "etcd",
    "gloonet-lab",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "pause",
];
/// Bound to addresses that are only that node's.
const OF_NODE: &str = "node";
/// Owner of a socket that no process holds.
const KERNEL: &str = "kernel";

/// One socket that listens. Two pods of one workload have the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Name of the program's file, or `kernel`.
    pub process: String,
    /// Whose network namespace it is in.
    pub place: Place,
    /// `6379/tcp`, or the path of a unix socket.
    pub socket: String,
    /// `any`, `node`, one address, or `unix`.
    pub bound: String,
}

/// Whose network namespace a socket is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A node's.
    Host,
    /// A pod's.
    Pod,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Host => "host",
            Place::Pod => "pod",
        };
        write!(
            f,
            "{} | {place} | {} | {}",
            self.process, self.socket, self.bound
        )
    }
}

/// The rows between the two marks of the threat model. What stands in brackets behind a process tells rows apart for people.
pub fn declared(page: &str) -> Result<BTreeSet<Listener>> {
    let table = page
        .split_once("<!-- listeners:begin -->")
        .and_then(|(_, rest)| rest.split_once("<!-- listeners:end -->"))
        .map(|(table, _)| table)
        .context("the page has no table of listeners between its marks")?;
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(row).collect()
}

fn row(line: &str) -> Result<Listener> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [process, place, socket, bound, who, proof] = cells[..] else {
        bail!("not six columns: {line}");
    };
    let place = match place {
        "host" => Place::Host,
        "pod" => Place::Pod,
        other => bail!("{other} is neither host nor pod: {line}"),
    };
    let port = socket.split_once('/').is_some_and(|(port, protocol)| {
        port.parse::<u16>().is_ok() && ["tcp", "udp"].contains(&protocol)
    });
    let known = if port {
        bound == "any"
            || bound == OF_NODE && place == Place::Host
            || bound.parse::<IpAddr>().is_ok()
    } else {
        socket.starts_with('/') && bound == "unix"
    };
    if !known || who.is_empty() || proof.is_empty() {
        bail!("not a socket with who may use it and why: {line}");
    }
    Ok(Listener {
        process: process.split(" (").next().unwrap_or(process).to_owned(),
        place,
        socket: socket.to_owned(),
        bound: bound.to_owned(),
    })
}

/// Every socket that listens in a network namespace of the cluster and is not of the lab's own programs.
pub fn observed(lab: &Cluster) -> Result<BTreeSet<Listener>> {
    let mut hosts = BTreeSet::new();
    for node in lab.nodes()? {
        if let Some(pid) = node.init_pid()? {
            hosts.insert(network_namespace(pid)?);
        }
    }
    let mut found = BTreeSet::new();
    for (namespace, pids) in namespaces(lab.name().as_str())? {
        let place = if hosts.contains(&namespace) {
            Place::Host
        } else {
            Place::Pod
        };
        let owners = owners(&pids);
        // Processes come and go; any that is still there shows the whole namespace.
        let Some(sockets) = pids.iter().find_map(|pid| listening(*pid).ok()) else {
            continue;
        };
        for (inode, socket, bound) in sockets {
            let process = owners.get(&inode).map_or(KERNEL, String::as_str);
            if !OF_THE_LAB.contains(&process) {
                let process = process.to_owned();
                let bound = named(bound, place);
                found.insert(Listener {
                    process,
                    place,
                    socket,
                    bound,
                });
            }
        }
    }
    Ok(found)
}

fn network_namespace(pid: u32) -> Result<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net"))
        .with_context(|| format!("the network namespace of process {pid}"))
}

/// The processes of a cluster's nodes and pods, by network namespace. The lab keeps a cgroup per cluster.
fn namespaces(cluster: &str) -> Result<BTreeMap<PathBuf, Vec<u32>>> {
    let mark = format!("/gloonet-lab/{cluster}/");
    let mut found: BTreeMap<PathBuf, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("list processes")? {
        let name = entry.context("list processes")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let ours = fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .is_ok_and(|text| text.contains(&mark));
        if let (true, Ok(namespace)) = (ours, network_namespace(pid)) {
            found.entry(namespace).or_default().push(pid);
        }
    }
    Ok(found)
}

/// Inode of a socket to the program that holds it.
fn owners(pids: &[u32]) -> BTreeMap<u64, String> {
    let mut owners = BTreeMap::new();
    for pid in pids {
        let (Ok(program), Ok(files)) = (
            fs::read_link(format!("/proc/{pid}/exe")),
            fs::read_dir(format!("/proc/{pid}/fd")),
        ) else {
            continue;
        };
        for file in files.flatten() {
            let inode = fs::read_link(file.path())
                .ok()
                .and_then(|target| socket_inode(&target));
            if let Some(inode) = inode {
                owners.insert(inode, program_name(&program));
            }
        }
    }
    owners
}

fn socket_inode(target: &Path) -> Option<u64> {
    target
        .to_str()?
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// The file's name. The lab's stand-in for Grafana stands for Grafana here too.
fn program_name(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    // The kernel says so of a file that was replaced while it ran.
    let name = name.trim_end_matches(" (deleted)");
    if name == "grafana-stand-in" {
        "grafana".to_owned()
    } else {
        name.to_owned()
    }
}

/// Inode, socket and bound address of everything that listens where a process is.
fn listening(pid: u32) -> Result<Vec<(u64, String, String)>> {
    let mut found = Vec::new();
    for (file, protocol) in [
        ("tcp", "tcp"),
        ("tcp6", "tcp"),
        ("udp", "udp"),
        ("udp6", "udp"),
    ] {
        let path = format!("/proc/{pid}/net/{file}");
        // Without IPv6 there is no file for it.
        if file.ends_with('6') && !Path::new(&path).exists() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        for socket in table::internet(&text) {
            found.push((
                socket.inode,
                format!("{}/{protocol}", socket.port),
                bound(socket.address),
            ));
        }
    }
    let path = format!("/proc/{pid}/net/unix");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    for (inode, path) in table::unix(&text) {
        found.push((inode, renamed(path), "unix".to_owned()));
    }
    Ok(found)
}

/// The agent binds `cilium.new`, sets its mode and renames it; the kernel remembers the first name.
fn renamed(path: &str) -> String {
    path.strip_suffix(".new")
        .map_or_else(|| path.to_owned(), |stem| format!("{stem}.sock"))
}

fn bound(address: IpAddr) -> String {
    if address.is_unspecified() {
        "any".to_owned()
    } else {
        address.to_canonical().to_string()
    }
}

/// A node's own addresses are other ones on each node, and its loopback the same.
fn named(bound: String, place: Place) -> String {
    let own = bound
        .parse::<IpAddr>()
        .is_ok_and(|address| !address.is_loopback());
    if own && place == Place::Host {
        OF_NODE.to_owned()
    } else {
        bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "
<!-- listeners:begin -->
| process | where | socket | bound to | who | proof |
|---|---|---|---|---|---|
| otelcol-contrib (gateway) | pod | 4317/tcp | any | collectors | certificate |
| cilium-agent | host | /var/run/cilium/cilium.sock | unix | root | mode |
<!-- listeners:end -->";

    #[test]
    fn rows_are_read_without_what_is_for_people() {
        let rows = declared(PAGE).unwrap();
        let printed: Vec<String> = rows.iter().map(ToString::to_string).collect();
        assert_eq!(
            printed,
            [
                "cilium-agent | host | /var/run/cilium/cilium.sock | unix",
                "otelcol-contrib | pod | 4317/tcp | any",
            ]
        );
    }

    #[test]
    fn the_threat_model_itself_can_be_read() {
        let page = include_str!("../../../docs/threat-model.md");
        assert!(declared(page).unwrap().len() >= 10);
    }

    #[test]
    fn a_row_that_says_nothing_is_refused() {
        for (whole, broken) in [
            ("4317/tcp", "4317"),
            ("| pod |", "| cloud |"),
            ("| certificate |", "| |"),
            ("| unix |", "| any |"),
            ("| any |", "| node |"),
        ] {
            declared(&PAGE.replace(whole, broken)).unwrap_err();
        }
    }

    #[test]
    fn an_address_that_only_one_node_has_is_called_the_nodes_and_no_other_is() {
        for (bound, place, expected) in [
            ("172.30.0.11", Place::Host, "node"),
            ("127.0.0.1", Place::Host, "127.0.0.1"),
            ("::1", Place::Host, "::1"),
            ("any", Place::Host, "any"),
            ("unix", Place::Host, "unix"),
            ("10.244.1.5", Place::Pod, "10.244.1.5"),
        ] {
            assert_eq!(named(bound.to_owned(), place), expected);
        }
        let page = PAGE.replace(
            "| cilium-agent | host | /var/run/cilium/cilium.sock | unix |",
            "| cilium-agent | host | 4240/tcp | node |",
        );
        assert_eq!(declared(&page).unwrap().len(), 2);
    }

    #[test]
    fn a_page_without_the_table_is_an_error() {
        declared("# Threat model").unwrap_err();
    }

    #[test]
    fn the_agents_socket_has_the_name_it_was_given_last() {
        assert_eq!(
            renamed("/var/run/cilium/cilium.new"),
            "/var/run/cilium/cilium.sock"
        );
        assert_eq!(renamed("/run/other.sock"), "/run/other.sock");
    }
}

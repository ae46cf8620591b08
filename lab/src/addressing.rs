//! Who has which address and name. Pure: everything follows from the cluster's name and index.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Every cluster has the same service network; clusters never route to each other's services.
pub const SERVICE_CIDR: &str = "10.96.0.0/16";
/// The first address of [`SERVICE_CIDR`], which the API server takes for `kubernetes.default`.
pub const KUBERNETES_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Address of the `kube-dns` Service.
pub const CLUSTER_DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The name every client of a cluster of the lab reaches the API server under.
pub const API_PORT: u16 = 6443;

const FIRST_DOOR: u16 = 16443;
const FIRST_NODE: u8 = 10;
const LAST_WORKER: u8 = 200;

/// Why a name or an ordinal is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The name cannot be used in host names and interface names.
    #[error(
        "cluster name {0:?} is refused: use 1 to 20 lower-case letters, digits and inner hyphens"
    )]
    ClusterName(String),
    /// The lab's address plan has room for 200 workers.
    #[error("a cluster can have at most {LAST_WORKER} workers, {0} were asked for")]
    TooManyWorkers(u32),
}

/// Name of a lab cluster: an RFC 1123 label of at most 20 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(String);

impl ClusterName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Node names carry no prefix in the cluster everyone uses.
    fn prefix(&self) -> String {
        if self.0 == "default" {
            String::new()
        } else {
            format!("{}-", self.0)
        }
    }
}

impl FromStr for ClusterName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = (1..=20).contains(&name.len())
            && name.chars().all(|c| plain(c) || c == '-')
            && name.starts_with(plain)
            && name.ends_with(plain);
        if fits {
            Ok(Self(name.to_owned()))
        } else {
            Err(Error::ClusterName(name.to_owned()))
        }
    }
}

impl TryFrom<String> for ClusterName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

impl From<ClusterName> for String {
    fn from(name: ClusterName) -> Self {
        name.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node's place in its cluster: 0 is the control plane, workers count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ordinal(u8);

impl Ordinal {
    /// The one node that runs the control plane.
    pub const CONTROL_PLANE: Self = Self(0);

    /// The `number`-th worker, counted from 1.
    pub fn worker(number: u32) -> Result<Self, Error> {
        match u8::try_from(number) {
            Ok(n @ 1..=LAST_WORKER) => Ok(Self(n)),
            _ => Err(Error::TooManyWorkers(number)),
        }
    }

    /// Whether this is the control-plane node.
    pub fn is_control_plane(self) -> bool {
        self == Self::CONTROL_PLANE
    }
}

/// The address plan of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressing {
    cluster: ClusterName,
    index: u8,
}

impl Addressing {
    /// The plan of `cluster`, which holds the machine-wide `index`.
    pub fn new(cluster: ClusterName, index: u8) -> Self {
        Self { cluster, index }
    }

    fn host(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(172, 30, self.index, last)
    }

    /// The network all nodes of the cluster share, in CIDR notation.
    pub fn node_cidr(&self) -> String {
        format!("{}/24", self.host(0))
    }

    /// The host beyond the cluster: the nodes' default route, which itself has no way further.
    pub fn outside(&self) -> Ipv4Addr {
        self.host(1)
    }

    /// Where the second API server listens, when it is started.
    pub fn second_api(&self) -> Ipv4Addr {
        self.host(9)
    }

    /// Address of a node.
    pub fn node(&self, ordinal: Ordinal) -> Ipv4Addr {
        self.host(FIRST_NODE + ordinal.0)
    }

    /// Where every client finds the API server inside the lab.
    pub fn api_url(&self) -> String {
        format!("https://{}:{API_PORT}", self.node(Ordinal::CONTROL_PLANE))
    }

    /// Loopback port on the machine that leads to the API server.
    pub fn door_port(&self) -> u16 {
        FIRST_DOOR + u16::from(self.index)
    }

    /// Name of a node, which is its host name and its Kubernetes name.
    pub fn node_name(&self, ordinal: Ordinal) -> String {
        let prefix = self.cluster.prefix();
        match ordinal.0 {
            0 => format!("{prefix}control-plane"),
            n => format!("{prefix}worker-{n}"),
        }
    }

    /// Network namespace that holds the bridge between the nodes.
    pub fn switch_namespace(&self) -> String {
        format!("gnl-{}-switch", self.cluster)
    }

    /// Network namespace of the host beyond the cluster.
    pub fn outside_namespace(&self) -> String {
        format!("gnl-{}-outside", self.cluster)
    }

    /// Name of the interface, in another cluster's outside host, that leads to this cluster.
    pub fn road(&self) -> String {
        format!("road-{}", self.index)
    }

    /// Network namespace of a node.
    pub fn node_namespace(&self, ordinal: Ordinal) -> String {
        match ordinal.0 {
            0 => format!("gnl-{}-control-plane", self.cluster),
            n => format!("gnl-{}-worker-{n}", self.cluster),
        }
    }

    /// Name of the bridge's port that leads to a node.
    pub fn port(&self, ordinal: Ordinal) -> String {
        format!("p{}", FIRST_NODE + ordinal.0)
    }

    /// Pod network of a node under the reference CNI: 10.244.N.0/24.
    pub fn reference_pod_cidr(&self, ordinal: Ordinal) -> String {
        format!("10.244.{}.0/24", ordinal.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(name: &str, index: u8) -> Addressing {
        Addressing::new(name.parse().unwrap(), index)
    }

    #[test]
    fn the_default_cluster_has_the_addresses_and_names_everyone_relies_on() {
        let plan = plan("default", 0);
        assert_eq!(plan.node_name(Ordinal::CONTROL_PLANE), "control-plane");
        assert_eq!(plan.node_name(Ordinal::worker(2).unwrap()), "worker-2");
        assert_eq!(plan.api_url(), "https://172.30.0.10:6443");
        assert_eq!(
            plan.node(Ordinal::worker(1).unwrap()),
            Ipv4Addr::new(172, 30, 0, 11)
        );
        assert_eq!(plan.door_port(), 16443);
        assert_eq!(plan.switch_namespace(), "gnl-default-switch");
    }

    #[test]
    fn a_further_cluster_has_its_own_network_port_and_node_names() {
        let plan = plan("east", 3);
        assert_eq!(plan.node_cidr(), "172.30.3.0/24");
        assert_eq!(plan.door_port(), 16446);
        assert_eq!(plan.road(), "road-3");
        assert_eq!(plan.node_name(Ordinal::worker(1).unwrap()), "east-worker-1");
        assert_eq!(
            plan.node_namespace(Ordinal::worker(1).unwrap()),
            "gnl-east-worker-1"
        );
    }

    #[test]
    fn names_that_cannot_be_host_names_are_refused() {
        for name in [
            "",
            "East",
            "a_b",
            "-a",
            "a-",
            "a/../b",
            "abcdefghijklmnopqrstu",
        ] {
            assert_eq!(
                name.parse::<ClusterName>(),
                Err(Error::ClusterName(name.to_owned()))
            );
        }
    }

    #[test]
    fn worker_numbers_start_at_one_and_end_at_two_hundred() {
        assert!(Ordinal::worker(0).is_err());
        assert!(Ordinal::worker(200).is_ok());
        assert!(Ordinal::worker(201).is_err());
    }

    proptest! {
        #[test]
        fn no_two_workers_share_an_address_or_a_port(a in 1u32..=200, b in 1u32..=200) {
            prop_assume!(a != b);
            let plan = plan("default", 0);
            let (a, b) = (Ordinal::worker(a).unwrap(), Ordinal::worker(b).unwrap());
            prop_assert_ne!(plan.node(a), plan.node(b));
            prop_assert_ne!(plan.port(a), plan.port(b));
            prop_assert!(plan.port(a).len() < 16, "an interface name has at most 15 bytes");
        }
    }
}

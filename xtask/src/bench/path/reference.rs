//! Plain paths to compare with, made with iproute2 inside the nodes.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::super::node::{Place, shell};
use super::Route;
use crate::lab::Lab;

/// In the block of RFC 5737's neighbours for benchmarks, RFC 2544.
const VETH: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2)];
const VXLAN: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 18, 1, 1), Ipv4Addr::new(198, 18, 1, 2)];
/// A node's end and the namespace's, on each node.
const FORWARDED: [[Ipv4Addr; 2]; 2] = [
    [Ipv4Addr::new(198, 18, 2, 1), Ipv4Addr::new(198, 18, 2, 2)],
    [Ipv4Addr::new(198, 18, 3, 1), Ipv4Addr::new(198, 18, 3, 2)],
];
/// Not the port or number of our own tunnel.
const TUNNEL: &str = "id 4242 dstport 4799";

/// The namespaces and links; they go with this value.
#[derive(Debug)]
pub struct References<'a> {
    lab: &'a Lab,
    nodes: [String; 2],
}

impl<'a> References<'a> {
    /// Makes the veth pair on the first node, and the VXLAN and the routes between both.
    pub fn make(lab: &'a Lab, nodes: [&str; 2]) -> Result<Self> {
        let made = Self {
            lab,
            nodes: nodes.map(ToOwned::to_owned),
        };
        // What a run that was killed left behind.
        made.remove();
        let addresses = [lab.node_ip(nodes[0])?, lab.node_ip(nodes[1])?];
        shell(
            lab,
            nodes[0],
            &format!(
                "ip netns add bench-a; ip netns add bench-b
             ip link add name va netns bench-a type veth peer name vb netns bench-b
             ip -n bench-a addr add {}/30 dev va; ip -n bench-b addr add {}/30 dev vb
             ip -n bench-a link set va up; ip -n bench-b link set vb up",
                VETH[0], VETH[1]
            ),
        )?;
        for (at, node) in nodes.iter().enumerate() {
            shell(
                lab,
                node,
                &format!(
                    "ip netns add bench-x; ip link add bench-br type bridge
                 ip link add bench-vx type vxlan {TUNNEL} local {} remote {}
                 ip link add bench-h type veth peer name vx netns bench-x
                 ip link set bench-vx master bench-br; ip link set bench-h master bench-br
                 for l in bench-br bench-vx bench-h; do ip link set $l up; done
                 ip -n bench-x addr add {}/30 dev vx; ip -n bench-x link set vx mtu 1450 up",
                    addresses[at],
                    addresses[1 - at],
                    VXLAN[at]
                ),
            )?;
            let [[host, inner], [_, other]] = [FORWARDED[at], FORWARDED[1 - at]];
            shell(
                lab,
                node,
                &format!(
                    "ip netns add bench-r
                 ip link add bench-f type veth peer name vr netns bench-r
                 ip addr add {host}/30 dev bench-f; ip link set bench-f up
                 ip -n bench-r addr add {inner}/30 dev vr; ip -n bench-r link set vr up
                 ip -n bench-r route add default via {host}
                 ip route add {other}/32 via {}
                 echo 1 > /proc/sys/net/ipv4/conf/bench-f/forwarding",
                    addresses[1 - at]
                ),
            )?;
        }
        Ok(made)
    }

    /// Two namespaces joined by nothing but a veth pair.
    pub fn veth(&self) -> Route {
        Route {
            from: self.named(0, "bench-a"),
            to: self.named(0, "bench-b"),
            address: VETH[1],
        }
    }

    /// Two namespaces behind bridges that the kernel's VXLAN joins.
    pub fn vxlan(&self) -> Route {
        Route {
            from: self.named(0, "bench-x"),
            to: self.named(1, "bench-x"),
            address: VXLAN[1],
        }
    }

    /// Two namespaces whose nodes forward for them, from veth pair to the nodes' network.
    pub fn forwarded(&self) -> Route {
        Route {
            from: self.named(0, "bench-r"),
            to: self.named(1, "bench-r"),
            address: FORWARDED[1][1],
        }
    }

    fn remove(&self) {
        for (at, node) in self.nodes.iter().enumerate() {
            let line = "for n in bench-a bench-b bench-x bench-r; do ip netns del $n || true; done
                        for l in bench-vx bench-br bench-h bench-f; do ip link del $l || true; done";
            let route = format!("ip route del {}/32 || true", FORWARDED[1 - at][1]);
            // Half of it may never have been made; what is left goes with the node.
            let _gone = shell(
                self.lab,
                node,
                &format!("exec 2>/dev/null; {line}; {route}"),
            );
        }
    }

    fn named(&self, node: usize, namespace: &str) -> Place {
        Place::Named {
            node: self.nodes[node].clone(),
            namespace: namespace.to_owned(),
        }
    }
}

impl Drop for References<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

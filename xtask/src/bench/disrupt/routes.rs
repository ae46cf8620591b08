//! From where to where traffic runs.

use std::io::Read;
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};

use anyhow::{Context, Result};

use crate::bench::node::{Place, Server};
use crate::bench::path::pods::{Pods, workers};
use crate::bench::peer::steady::Counted;
use crate::bench::service::Service;
use crate::lab::Lab;

const PORT: u16 = 5203;
const NODE_PORT: u16 = 30_203;
/// Its endpoint is on the client's node.
const NEAR: Service = Service {
    name: "near",
    port: PORT,
    node_port: None,
};
/// Its endpoint is on another node.
const FAR: Service = Service {
    name: "far",
    port: PORT,
    node_port: Some(NODE_PORT),
};

/// One way, and what asks on it.
struct Route {
    name: &'static str,
    from: Place,
    to: Ipv4Addr,
    port: u16,
    /// As a process of the pod.
    in_pod: bool,
}

/// The pods and Services; they go with this value.
pub(super) struct Routes<'a> {
    lab: &'a Lab,
    all: Vec<Route>,
    _servers: Vec<Server>,
    _pods: Pods<'a>,
}

impl<'a> Routes<'a> {
    /// Pods `a` and `b` on one worker and `c` on another.
    pub(super) fn make(lab: &'a Lab) -> Result<Self> {
        let pods = Pods::on_two_workers(lab)?;
        let (near, far) = (pods.same_node()?, pods.two_nodes()?);
        let servers = [&near.to, &far.to].map(|place| Server::start(lab, place, PORT));
        let near_service = NEAR.publish(lab, near.address)?;
        let far_service = FAR.publish(lab, far.address)?;
        let node = lab.node_ip(&workers(lab)?[0])?;
        let pod = |name, from: &Place, to, in_pod| Route {
            name,
            from: from.clone(),
            to,
            port: PORT,
            in_pod,
        };
        let routes = vec![
            pod("pod, same node", &near.from, near.address, false),
            pod("pod, other node", &near.from, far.address, false),
            pod("Service, at the socket", &near.from, far_service, true),
            // Of another pod: one that asks a pod both straight and so gets the same ports for both sooner or later.
            pod("Service, packet by packet", &far.to, near_service, false),
            Route {
                name: "node port from outside",
                from: Place::Outside,
                to: node,
                port: NODE_PORT,
                in_pod: false,
            },
        ];
        Ok(Self {
            lab,
            all: routes,
            _servers: servers.into_iter().collect::<Result<_>>()?,
            _pods: pods,
        })
    }

    /// Starts traffic on each.
    pub(super) fn clients(&self, rate: u32) -> Result<Vec<Client>> {
        let share = rate.div_ceil(u32::try_from(self.all.len()).unwrap_or(1));
        self.all
            .iter()
            .map(|route| Client::start(self.lab, route, share))
            .collect()
    }
}

/// Traffic on one route.
pub(super) struct Client {
    name: &'static str,
    child: Child,
}

impl Client {
    fn start(lab: &Lab, route: &Route, rate: u32) -> Result<Self> {
        let (port, to, rate) = (
            route.port.to_string(),
            route.to.to_string(),
            rate.to_string(),
        );
        let mut arguments = vec!["--port", &port, "--to", &to, "--steady", &rate];
        if route.in_pod {
            arguments.push("--in-pod");
        }
        let child = route
            .from
            .peer(lab, &arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start a client")?;
        Ok(Self {
            name: route.name,
            child,
        })
    }

    /// Ends it; what it counted.
    pub(super) fn end(mut self) -> Result<(String, Counted)> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        let mut output = self.child.stdout.take().context("a client's output")?;
        output.read_to_string(&mut text).context("read a client")?;
        let status = self.child.wait().context("wait for a client")?;
        let counted = serde_json::from_str(&text)
            .with_context(|| format!("{}: {status}, printed {text:?}", self.name))?;
        Ok((self.name.to_owned(), counted))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // One that was not ended in order ends with its input.
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}

//! The ways a connection takes, and what it costs on each.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use super::MEASURED;
use crate::bench::node::{OF_THE_CLIENT, Place};
use crate::bench::peer::Sample;
use crate::bench::statistics::median;
use crate::lab::Lab;
use crate::process;

/// Who asks, what answers, and the Service before it.
pub(super) struct Ground {
    pub(super) lab: Lab,
    pub(super) client: kube::Client,
    pub(super) from: Place,
    pub(super) endpoint: Ipv4Addr,
    pub(super) service: Ipv4Addr,
    pub(super) ways: &'static [Way],
}

/// A way to the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// Past every Service, between two pods.
    Pods,
    /// Through the Service, which the client's socket translates.
    Socket,
    /// Through the Service, packet by packet.
    Packets,
    /// Past every Service, between two nodes.
    Nodes,
    /// Through the Service, between two nodes.
    KubeProxy,
}

impl Way {
    pub(super) const OURS: &'static [Self] = &[Self::Pods, Self::Socket, Self::Packets];
    pub(super) const PEERS: &'static [Self] = &[Self::Nodes, Self::KubeProxy];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pods => "pod to pod, straight",
            Self::Socket => "  through a Service, at the socket",
            Self::Packets => "  through a Service, packet by packet",
            Self::Nodes => "node to node, straight",
            Self::KubeProxy => "  through a Service, kube-proxy (nftables)",
        }
    }

    /// What its figure is compared with.
    pub(super) fn straight(self) -> Self {
        match self {
            Self::Pods | Self::Socket | Self::Packets => Self::Pods,
            Self::Nodes | Self::KubeProxy => Self::Nodes,
        }
    }

    /// The reference is of a pod's process, too: its cgroup has the same share of the processors.
    fn in_pod(self) -> bool {
        matches!(self, Self::Pods | Self::Socket)
    }
}

/// Median and 99th percentile in microseconds.
pub(super) type Cost = (f64, f64);

/// Medians over the rounds, which alternate, so that what else the machine does falls on all ways.
pub(super) fn connections(
    grounds: &[Ground],
    (rounds, seconds): (usize, f64),
) -> Result<BTreeMap<Way, Cost>> {
    let mut samples: BTreeMap<Way, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for _ in 0..rounds {
        for ground in grounds {
            for way in ground.ways {
                let sample = connect_often(ground, *way, seconds)?;
                let (middles, lates) = samples.entry(*way).or_default();
                middles.push(sample.median_us);
                lates.push(sample.p99_us);
            }
        }
    }
    Ok(samples
        .into_iter()
        .map(|(way, (middles, lates))| (way, (median(&middles), median(&lates))))
        .collect())
}

fn connect_often(ground: &Ground, way: Way, seconds: f64) -> Result<Sample> {
    let to = if way == way.straight() {
        ground.endpoint
    } else {
        ground.service
    };
    let (port, to, seconds) = (
        MEASURED.port.to_string(),
        to.to_string(),
        seconds.to_string(),
    );
    let mut words = vec!["--port", &port, "--to", &to, "--kind", "crr", "--seconds"];
    words.push(&seconds);
    words.extend(OF_THE_CLIENT);
    if way.in_pod() {
        words.push("--in-pod");
    }
    let printed = process::output(&mut ground.from.peer(&ground.lab, &words)?)?;
    serde_json::from_str(printed.trim()).context("read a sample")
}

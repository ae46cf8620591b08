//! `./dev up --clusters N`: workload clusters beside the first, registered with its management server the way a user does it.

use std::net::SocketAddrV4;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::image::definition::MIRROR;
use crate::lab::Lab;
use crate::process;

use super::install;

/// Further clusters, in the order they are added.
const NAMES: [&str; 4] = ["east", "west", "north", "south"];
/// Clusters there can be, the first included.
pub const MOST: u32 = 5;
/// Services that other clusters reach, by the port at the Service and at the stand-in for a load balancer before it.
const RELAY: (&str, u16) = ("gloo-mesh-mgmt-server", 9900);
const GATEWAY: (&str, u16) = ("gloo-telemetry-gateway", 4320);
const NAMESPACE: &str = "gloo-mesh";

/// The workload clusters of a lab of `clusters` clusters: `east`, …, or `test-east`, … beside the cluster `test`.
pub fn workloads(management: &Lab, clusters: u32) -> Result<Vec<(&'static str, Lab)>> {
    let further = usize::try_from(clusters.saturating_sub(1))?;
    NAMES
        .into_iter()
        .take(further)
        .map(|name| Ok((name, Lab::named(&management.beside(name))?)))
        .collect()
}

/// Removes the workload clusters of a lab of `clusters` clusters; one that is not there is fine.
pub fn down(management: &Lab, clusters: u32) -> Result<()> {
    for (_, other) in workloads(management, clusters)? {
        process::run(other.command().arg("down").stdout(std::io::stderr()))?;
    }
    Ok(())
}

/// Where other clusters reach the one that manages.
#[derive(Debug, Clone, Copy)]
pub struct Doors {
    relay: SocketAddrV4,
    gateway: SocketAddrV4,
}

/// Makes relay and gateway reachable at an address of the management cluster's control-plane node. The network has no load
/// balancer of its own; the lab has a stand-in.
pub fn open(management: &Lab) -> Result<Doors> {
    Ok(Doors {
        relay: door(management, RELAY)?,
        gateway: door(management, GATEWAY)?,
    })
}

fn door(management: &Lab, (name, port): (&str, u16)) -> Result<SocketAddrV4> {
    let service = management.get(&["service", name, "--namespace", NAMESPACE])?;
    let address = service["spec"]["clusterIP"]
        .as_str()
        .with_context(|| format!("Service {NAMESPACE}/{name} has no address"))?;
    let (node, text) = (management.node_name("control-plane"), port.to_string());
    let to = format!("{address}:{port}");
    let printed = process::output(management.command().args(["balance", &node, &text, &to]))?;
    let listens = printed.trim();
    listens
        .parse()
        .with_context(|| format!("the lab printed {listens:?} where the address of {name} belongs"))
}

/// Registers one cluster and applies its GlooNetwork; a cluster whose agent is connected is not registered again.
pub fn add(management: &Lab, name: &str, workload: &Lab, doors: Doors) -> Result<()> {
    install::operator(workload)?;
    if !is_warm(management, name)? {
        let mut command = management.gloonet()?;
        command
            .args([
                "cluster",
                "register",
                name,
                "--server",
                &doors.relay.to_string(),
            ])
            .arg("--apply-to")
            .arg(workload.kubeconfig());
        process::output(&mut command).with_context(|| format!("register cluster {name}"))?;
    }
    install::text(workload, &gloonetwork(name, doors).to_string(), "dev")
}

/// Waits until every cluster is connected and warmed, as `gloonet clusters` says it.
pub fn wait(management: &Lab, names: &[&str], seconds: u64) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let rows = rows(management)?;
        let cold: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| !warm(&rows, name))
            .collect();
        if cold.is_empty() {
            return Ok(());
        }
        if Instant::now() > end {
            bail!(
                "not connected and warmed after {seconds} s: {}; ./dev gloonet clusters says why",
                cold.join(", ")
            );
        }
        sleep(Duration::from_secs(1));
    }
}

fn is_warm(management: &Lab, name: &str) -> Result<bool> {
    Ok(warm(&rows(management)?, name))
}

fn rows(management: &Lab) -> Result<Value> {
    let text = process::output(management.gloonet()?.args(["clusters", "-o", "json"]))?;
    serde_json::from_str(&text).context("parse what gloonet clusters printed")
}

fn warm(rows: &Value, name: &str) -> bool {
    let mut all = rows.as_array().into_iter().flatten();
    all.any(|row| row["name"] == name && row["connected"] == "True" && row["warmed"] == "True")
}

/// Everything of a workload cluster managed, images from the lab's own mirror.
fn gloonetwork(name: &str, doors: Doors) -> Value {
    json!({
        "apiVersion": "gloonetwork.io/v1alpha1",
        "kind": "GlooNetwork",
        "metadata": {"name": "default"},
        "spec": {
            "clusterName": name,
            "role": "Workload",
            "images": {"registry": MIRROR},
            "gloo": {"agent": {"managementAddress": doors.relay.to_string()}},
            "telemetry": {"collectors": {"gatewayAddress": doors.gateway.to_string()}},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_clusters_are_named_after_the_first_unless_that_is_the_default_one() {
        let names = |first: &str, clusters| -> Vec<String> {
            let all = workloads(&Lab::named(first).unwrap(), clusters).unwrap();
            all.iter().map(|(_, lab)| lab.name().to_owned()).collect()
        };
        assert_eq!(names("default", 3), ["east", "west"]);
        assert_eq!(names("test", 2), ["test-east"]);
        assert_eq!(names("default", 1), Vec::<String>::new());
    }

    #[test]
    fn a_cluster_counts_as_warm_only_when_both_are_said_to_be_true() {
        let rows = json!([
            {"name": "east", "connected": "True", "warmed": "True"},
            {"name": "west", "connected": "True", "warmed": "Unknown"},
        ]);
        assert!(warm(&rows, "east") && !warm(&rows, "west") && !warm(&rows, "north"));
    }
}

//! One resource brings the whole platform up.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use gloonet_e2e::{Scene, platform};

#[tokio::test]
async fn one_resource_brings_every_component_up_and_healthy() -> Result<()> {
    let scene = Scene::open().await?;
    let status = platform::settled(&scene, Duration::from_mins(5)).await?;
    let names: Vec<&str> = status.components.iter().map(|c| c.name.as_str()).collect();
    for name in [
        "cilium-agent",
        "cilium-operator",
        "redis",
        "prometheus",
        "grafana",
    ] {
        assert!(names.contains(&name), "{name} has no row: {names:?}");
    }
    assert!(
        status.components.iter().all(|c| c.ready == c.desired),
        "{:?}",
        status.components
    );
    Ok(())
}

#[tokio::test]
async fn kubectl_shows_version_conditions_and_message() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, Duration::from_mins(5)).await?;
    let table = scene.kubectl(&["get", "glonet"])?;
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        head,
        [
            "NAME",
            "VERSION",
            "AVAILABLE",
            "PROGRESSING",
            "DEGRADED",
            "MESSAGE",
            "AGE"
        ]
    );
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        (row[0], &row[2..5]),
        ("default", &["True", "False", "False"][..]),
        "{table}"
    );
    Ok(())
}

#[tokio::test]
async fn every_node_is_open_for_pods_and_has_its_own_part_of_the_pool() -> Result<()> {
    let scene = Scene::open().await?;
    let nodes = scene.nodes().await?;
    // A node that was removed keeps its CiliumNode until the next collection, minutes later.
    let taken = scene.kubectl(&[
        "get",
        "cn",
        "-o",
        "jsonpath={range .items[*]}{.metadata.name} {.spec.ipam.podCIDRs[0]}{\"\\n\"}{end}",
    ])?;
    let (names, cidrs): (BTreeSet<&str>, BTreeSet<&str>) = taken
        .lines()
        .filter_map(|line| line.split_once(' '))
        .unzip();
    assert_eq!(cidrs.len(), taken.lines().count(), "{taken}");
    assert!(
        nodes.iter().all(|node| names.contains(node.as_str())),
        "{taken}"
    );
    for node in nodes {
        let path =
            "jsonpath={range .status.conditions[*]}{.type}={.status} {end}{.spec.taints[*].key}";
        let said = scene.kubectl(&["get", "node", &node, "-o", path])?;
        assert!(
            said.contains("NetworkUnavailable=False") && said.contains("Ready=True"),
            "{node}: {said}"
        );
        assert!(
            !said.contains("node.cilium.io/agent-not-ready"),
            "{node}: {said}"
        );
    }
    Ok(())
}

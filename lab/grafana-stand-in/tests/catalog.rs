//! What the catalog renders for Grafana, read by the stand-in as Grafana would read it.

#![expect(
    clippy::unwrap_used,
    reason = "a test program: a failure shall end it with its reason"
)]

use std::path::Path;

use gloonet_api::GlooNetworkSpec;
use gloonet_catalog::{ClusterFacts, ComponentId, component, validate};
use grafana_stand_in::content;

/// Lays the ConfigMaps out as the Deployment mounts them.
fn mount(folder: &Path) {
    let facts = ClusterFacts {
        api_server: Some(("192.0.2.1".to_owned(), 6443)),
        ..ClusterFacts::default()
    };
    let input = validate(&GlooNetworkSpec::named("west"), &facts).unwrap();
    let boards = folder.join("boards");
    for name in ["datasources", "dashboards", "boards"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    for id in [ComponentId::OperatorDashboard, ComponentId::Grafana] {
        for object in component(id).objects(&input).unwrap() {
            for (file, text) in object
                .data
                .get("data")
                .and_then(|data| data.as_object())
                .into_iter()
                .flatten()
            {
                let text = text
                    .as_str()
                    .unwrap()
                    .replace("/etc/grafana/dashboards", boards.to_str().unwrap());
                let path = match file.as_str() {
                    "datasources.yaml" => folder.join("datasources").join(file),
                    "dashboards.yaml" => folder.join("dashboards").join(file),
                    _ => boards.join(file),
                };
                std::fs::write(path, text).unwrap();
            }
        }
    }
}

#[test]
fn the_rendered_provisioning_and_every_dashboard_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    mount(folder.path());
    let content = content::load(folder.path()).unwrap();
    assert!(content.refused.is_empty(), "{:?}", content.refused);
    let mut uids: Vec<&str> = content
        .dashboards
        .iter()
        .map(|board| board.uid.as_str())
        .collect();
    uids.sort_unstable();
    assert_eq!(
        uids,
        [
            "gloonet-certificates",
            "gloonet-cilium-agent",
            "gloonet-cilium-policy",
            "gloonet-hubble",
            "gloonet-insights",
            "gloonet-management-plane",
            "gloonet-operator",
            "gloonet-stores",
            "gloonet-telemetry"
        ]
    );
    assert_eq!(content.datasources.len(), 1);
}

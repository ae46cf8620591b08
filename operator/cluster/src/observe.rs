//! What the watches showed, in the words of the catalog and the plan.

use std::collections::{BTreeMap, BTreeSet};

use gloonet_api::{CONFIRM_ROUTING_MODE, GlooNetwork, MESH_NAMESPACE, SINGLETON};
use gloonet_catalog::{ClusterFacts, NodeFacts, Observed, PodObservation, SecretFacts};
use gloonet_plan::{Live, LiveObject, NeededSecret, ObjectKey, SecretCondition};
use ipnet::Ipv4Net;
use k8s_openapi::api::{networking::v1::ServiceCIDR, storage::v1::StorageClass};
use kube::{Api, Client, ResourceExt, api::ListParams};

use crate::{
    eyes::{Row, SecretView, Seen, Source, Table},
    fault::Fault,
};

/// What is read by list instead of watch, because it hardly ever changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Ranges of Services.
    pub service_cidrs: Vec<Ipv4Net>,
    /// Names of all StorageClasses.
    pub storage_classes: BTreeSet<String>,
    /// One of them is the default.
    pub has_default_storage_class: bool,
}

/// Lists what [`Listed`] holds.
pub async fn list(client: &Client) -> Result<Listed, Fault> {
    let all = ListParams::default();
    let cidrs = Api::<ServiceCIDR>::all(client.clone()).list(&all).await;
    let cidrs = cidrs.map_err(|source| Fault::List {
        what: "ServiceCIDRs",
        source,
    })?;
    let classes = Api::<StorageClass>::all(client.clone()).list(&all).await;
    let classes = classes.map_err(|source| Fault::List {
        what: "StorageClasses",
        source,
    })?;
    let ranges = cidrs
        .iter()
        .filter_map(|one| one.spec.as_ref()?.cidrs.as_ref())
        .flatten();
    let is_default = |class: &StorageClass| {
        class
            .annotations()
            .get("storageclass.kubernetes.io/is-default-class")
            .is_some_and(|value| value == "true")
    };
    Ok(Listed {
        service_cidrs: ranges.filter_map(|range| range.parse().ok()).collect(),
        has_default_storage_class: classes.iter().any(is_default),
        storage_classes: classes.iter().map(ResourceExt::name_any).collect(),
    })
}

/// The `GlooNetwork`, if there is one.
pub fn platform(seen: &Seen) -> Option<GlooNetwork> {
    match seen
        .table(&Source::Platform)?
        .rows
        .get(&(String::new(), SINGLETON.to_owned()))?
    {
        Row::Platform(platform) => Some(GlooNetwork::clone(platform)),
        _ => None,
    }
}

/// Objects of ours.
pub fn live(seen: &Seen) -> Live {
    let mut live = Live::default();
    for (source, table) in seen.tables() {
        match source {
            Source::Ours {
                group,
                version,
                kind,
                namespace,
            } => {
                if table.ready {
                    live.read
                        .insert((group.clone(), kind.clone(), namespace.clone()));
                }
                for ((namespace, name), row) in &table.rows {
                    let Row::Object(tracked) = row else { continue };
                    let key = ObjectKey {
                        group: group.clone(),
                        version: version.clone(),
                        kind: kind.clone(),
                        namespace: (!namespace.is_empty()).then(|| namespace.clone()),
                        name: name.clone(),
                    };
                    live.objects.insert(key, tracked.live.clone());
                }
            }
            Source::Secrets(namespace) => {
                if table.ready {
                    let kind = (String::new(), "Secret".to_owned(), Some(namespace.clone()));
                    live.read.insert(kind);
                }
                secrets(&mut live, table);
            }
            Source::Secret(namespace, name) => {
                if table.ready {
                    live.named.insert(ObjectKey::secret(namespace, name));
                }
                secrets(&mut live, table);
            }
            Source::Platform | Source::Pods(_) | Source::Nodes | Source::CiliumNodes => {}
        }
    }
    live
}

/// Only Secrets with our label count as ours; what they hold is judged elsewhere.
fn secrets(live: &mut Live, table: &Table) {
    for ((namespace, name), row) in &table.rows {
        if let Row::Secret(view) = row
            && view.ours
        {
            let object = LiveObject {
                uid: view.uid.clone(),
                fingerprint: crate::hands::secret_mark(),
                deleting: view.deleting,
                version: crate::apply::version(Some(&view.resource_version)),
            };
            live.objects
                .insert(ObjectKey::secret(namespace, name), object);
        }
    }
}

/// What validation asks about the cluster.
pub fn facts(
    seen: &Seen,
    listed: &Listed,
    platform: &GlooNetwork,
    api_server: Option<(String, u16)>,
) -> ClusterFacts {
    let computed = platform
        .status
        .as_ref()
        .and_then(|status| status.computed.as_ref());
    let previous = |field: &str| {
        computed
            .and_then(|spec| spec[field].as_str())
            .map(str::to_owned)
    };
    let secrets =
        rows(seen, &Source::Secrets(MESH_NAMESPACE.to_owned())).filter_map(|((_, name), row)| {
            match row {
                Row::Secret(SecretView { keys, .. }) => {
                    Some((name.clone(), SecretFacts { keys: keys.clone() }))
                }
                _ => None,
            }
        });
    ClusterFacts {
        operator_version: env!("CARGO_PKG_VERSION").to_owned(),
        uid: platform.metadata.uid.clone().unwrap_or_default(),
        api_server,
        nodes: nodes(seen),
        service_cidrs: listed.service_cidrs.clone(),
        secrets: secrets.collect(),
        storage_classes: listed.storage_classes.clone(),
        has_default_storage_class: listed.has_default_storage_class,
        previous_role: previous("role"),
        previous_cluster_name: previous("clusterName"),
        previous_routing_mode: computed.and_then(running_mode),
        confirmed_routing_mode: platform.annotations().get(CONFIRM_ROUTING_MODE).cloned(),
    }
}

/// The routing mode of a specification that Cilium is managed by.
fn running_mode(computed: &serde_json::Value) -> Option<String> {
    let cilium = &computed["cilium"];
    let managed = cilium["state"] == "Managed";
    let mode = cilium["routing"]["mode"].as_str().filter(|_| managed)?;
    Some(mode.to_owned())
}

/// Everything a component's health depends on, without its probe results.
pub fn observed(seen: &Seen, secrets: &[NeededSecret]) -> Observed {
    let tracked = seen.tables().flat_map(|(source, table)| {
        let kind = match source {
            Source::Ours { kind, .. } => kind.as_str(),
            _ => "",
        };
        table.rows.iter().filter_map(move |(name, row)| match row {
            Row::Object(tracked) => Some((kind, name, tracked)),
            _ => None,
        })
    });
    let mut observed = Observed {
        pods: pods(seen),
        nodes: nodes(seen)
            .into_iter()
            .filter(|node| node.agent)
            .map(|node| node.name)
            .collect(),
        cilium_nodes: cilium_nodes(seen),
        ..Observed::default()
    };
    for (kind, (namespace, name), tracked) in tracked {
        observed.workloads.extend(tracked.workload.clone());
        if tracked.established {
            observed.established_crds.push(name.clone());
        }
        if kind == "ConfigMap" {
            observed.config_maps.push(format!("{namespace}/{name}"));
        }
    }
    let usable = |secret: &&NeededSecret| {
        matches!(
            secret.condition,
            SecretCondition::Complete | SecretCondition::Expiring
        )
    };
    observed.complete_secrets = secrets
        .iter()
        .filter(usable)
        .map(|secret| format!("{}/{}", secret.spec.namespace, secret.spec.name))
        .collect();
    observed
}

/// Pods of components.
pub fn pods(seen: &Seen) -> Vec<PodObservation> {
    let pods = seen
        .tables()
        .filter(|(source, _)| matches!(source, Source::Pods(_)));
    let rows = pods.flat_map(|(_, table)| table.rows.values());
    rows.filter_map(|row| match row {
        Row::Pod(pod) => Some(pod.clone()),
        _ => None,
    })
    .collect()
}

/// True when the definition of that name is established.
pub fn is_established(seen: &Seen, definition: &str) -> bool {
    let tables = seen.tables().map(|(_, table)| table);
    tables
        .flat_map(|table| &table.rows)
        .any(|((_, name), row)| {
            name == definition && matches!(row, Row::Object(tracked) if tracked.established)
        })
}

/// Groups and kinds whose definition, given as name, group and kind, is not established.
pub fn unestablished<'a>(
    seen: &Seen,
    definitions: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
) -> Vec<(&'a str, &'a str)> {
    definitions
        .filter(|(name, ..)| !is_established(seen, name))
        .map(|(_, group, kind)| (group, kind))
        .collect()
}

fn nodes(seen: &Seen) -> Vec<NodeFacts> {
    rows(seen, &Source::Nodes)
        .filter_map(|(_, row)| match row {
            Row::Node(node) => Some(node.clone()),
            _ => None,
        })
        .collect()
}

/// Name of each CiliumNode to its pod CIDRs.
pub fn cilium_nodes(seen: &Seen) -> BTreeMap<String, Vec<String>> {
    rows(seen, &Source::CiliumNodes)
        .filter_map(|((_, name), row)| match row {
            Row::CiliumNode(cidrs) => Some((name.clone(), cidrs.clone())),
            _ => None,
        })
        .collect()
}

fn rows<'a>(
    seen: &'a Seen,
    source: &Source,
) -> impl Iterator<Item = (&'a (String, String), &'a Row)> + use<'a> {
    seen.table(source)
        .into_iter()
        .flat_map(|table| table.rows.iter())
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;

    #[test]
    fn one_secret_that_was_read_by_name_says_nothing_about_its_neighbours() {
        let source = Source::secret("kube-system", "read");
        let mut seen = Seen::default();
        seen.expect(&Source::secret("kube-system", "unread"));
        for event in [Event::Init, Event::InitDone] {
            seen.take(&source, event);
        }
        let live = live(&seen);
        assert!(live.knows(&ObjectKey::secret("kube-system", "read")));
        assert!(!live.knows(&ObjectKey::secret("kube-system", "unread")));
    }

    #[test]
    fn a_network_has_a_routing_mode_while_cilium_is_managed_by_one() {
        let computed =
            |state: &str| json!({"cilium": {"state": state, "routing": {"mode": "Native"}}});
        assert_eq!(
            running_mode(&computed("Managed")),
            Some("Native".to_owned())
        );
        assert_eq!(running_mode(&computed("Removed")), None);
        assert_eq!(running_mode(&json!({"clusterName": "west"})), None);
    }
}

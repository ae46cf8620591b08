//! What addresses, identities and cookies are called, for flows that people read.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use cilium_api::NumericIdentity;
use cilium_hubble::metrics::Pod as PodName;
use cilium_hubble::names::{Endpoint, Names, Policy, ServiceName, Workload};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::agent::Agent;
use crate::services::ServiceNames;

/// Local CIDR identities begin here (Cilium's scope 1).
const CIDR_SCOPE: u32 = 1 << 24;

/// Names as they were at the last [`Directory::refresh`].
#[derive(Debug, Default)]
struct Known {
    endpoints: HashMap<IpAddr, Arc<Endpoint>>,
    services: Arc<ServiceNames>,
    /// Of Services and nodes, when those names were made: most of what rings is about pods.
    versions: Option<(u64, u64)>,
    interfaces: HashMap<u32, String>,
}

/// The agent's answers to [`Names`].
#[derive(Debug)]
pub struct Directory {
    agent: Arc<Agent>,
    known: RwLock<Known>,
}

impl Directory {
    pub fn new(agent: Arc<Agent>) -> Arc<Self> {
        Arc::new(Self {
            agent,
            known: RwLock::default(),
        })
    }

    /// Makes the names anew of what the agent knows now.
    pub fn refresh(&self) {
        let watched = &self.agent.watched;
        // Asked for first: what comes in between is looked at again.
        let versions = Some((watched.services.version(), watched.nodes.version()));
        let made = self.known(|known| (known.versions == versions).then(|| known.services.clone()));
        let known = Known {
            endpoints: endpoints(&self.agent),
            services: made.unwrap_or_else(|| Arc::new(services(&self.agent))),
            versions,
            interfaces: interfaces(&self.agent),
        };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// The pods of all nodes.
    pub fn pods(&self) -> HashSet<PodName> {
        self.known(|known| known.endpoints.values().map(|pod| name_of(pod)).collect())
    }

    fn known<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Names for Directory {
    fn endpoint(&self, address: IpAddr) -> Option<Arc<Endpoint>> {
        self.known(|known| known.endpoints.get(&address).cloned())
    }

    fn identity_labels(&self, identity: u32) -> Option<Arc<[String]>> {
        if identity >= CIDR_SCOPE {
            return self.cidr_labels(identity & (CIDR_SCOPE - 1));
        }
        let watched = &self.agent.watched.identities;
        let object = watched.get("", &identity.to_string())?;
        Some(object.security_labels.to_list().into())
    }

    fn service(&self, address: IpAddr, port: u16, protocol: u8) -> Option<ServiceName> {
        self.known(|known| known.services.find(address, port, protocol).cloned())
    }

    fn policies(&self, cookie: u32) -> Vec<Policy> {
        let revision = self.agent.policies.revision();
        let behind = self.agent.policies.behind(cookie);
        behind
            .into_iter()
            .map(|policy| Policy {
                kind: policy.id.kind.to_string(),
                namespace: policy.id.namespace,
                name: policy.id.name,
                labels: policy.labels,
                revision,
            })
            .collect()
    }

    fn interface(&self, index: u32) -> Option<String> {
        self.known(|known| known.interfaces.get(&index).cloned())
    }
}

impl Directory {
    fn cidr_labels(&self, number: u32) -> Option<Arc<[String]>> {
        let prefix = self.agent.policies.with(|repository| {
            let prefixes = repository.prefixes();
            prefixes
                .iter()
                .find(|(_, known)| **known == number)
                .map(|(prefix, _)| *prefix)
        })?;
        Some([format!("cidr:{prefix}"), "reserved:world".to_owned()].into())
    }
}

/// Pods of all nodes by their CiliumEndpoints, those of this node by its own table.
fn endpoints(agent: &Agent) -> HashMap<IpAddr, Arc<Endpoint>> {
    let mut known = HashMap::new();
    for object in agent.watched.endpoints.list() {
        let identity = object.status.identity.clone().unwrap_or_default();
        let endpoint = Arc::new(Endpoint {
            id: 0,
            identity: identity.number().unwrap_or(NumericIdentity::UNKNOWN).0,
            namespace: object.metadata.namespace.clone().unwrap_or_default(),
            pod: object.metadata.name.clone().unwrap_or_default(),
            labels: identity.labels,
            workloads: elsewhere(&object.metadata).into_iter().collect(),
        });
        let networking = object.status.networking.iter();
        let addresses = networking.flat_map(|networking| &networking.addressing);
        for address in addresses.filter_map(|pair| pair.ipv4.as_deref()?.parse().ok()) {
            known.insert(address, endpoint.clone());
        }
    }
    for local in agent.endpoints.list() {
        let reference = local.pod.clone();
        let pod = reference
            .as_ref()
            .and_then(|pod| agent.watched.pods.get(&pod.namespace, &pod.name));
        let (namespace, name) = reference
            .map(|pod| (pod.namespace, pod.name))
            .unwrap_or_default();
        let endpoint = Endpoint {
            id: local.id,
            identity: local.identity.0,
            namespace,
            pod: name,
            labels: local.labels,
            workloads: pod.as_deref().map(workloads).unwrap_or_default(),
        };
        known.insert(local.ip.into(), Arc::new(endpoint));
    }
    known
}

fn name_of(endpoint: &Endpoint) -> PodName {
    PodName {
        namespace: endpoint.namespace.clone(),
        name: endpoint.pod.clone(),
    }
}

/// What made the pod. A ReplicaSet is a Deployment's, whose name is the ReplicaSet's without the hash of its template.
fn workloads(pod: &Pod) -> Vec<Workload> {
    let hash = pod
        .metadata
        .labels
        .iter()
        .find_map(|labels| labels.get("pod-template-hash"));
    let owners = pod.metadata.owner_references.iter().flatten();
    owners
        .filter(|owner| owner.controller == Some(true))
        .map(|owner| {
            let deployment = hash
                .filter(|_| owner.kind == "ReplicaSet")
                .and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
            match deployment {
                Some(name) => Workload {
                    kind: "Deployment".to_owned(),
                    name: name.to_owned(),
                },
                None => Workload {
                    kind: owner.kind.clone(),
                    name: owner.name.clone(),
                },
            }
        })
        .collect()
}

/// What made a pod of another node, as its endpoint tells: by the labels that controllers put on their pods, and how they name
/// them. One of a Job, or of nobody, is not told apart.
fn elsewhere(metadata: &ObjectMeta) -> Option<Workload> {
    let labels = metadata.labels.as_ref()?;
    let name = metadata.name.as_deref()?;
    let (pods, _) = name.rsplit_once('-')?;
    let workload = |kind: &str, name: &str| Workload {
        kind: kind.to_owned(),
        name: name.to_owned(),
    };
    if let Some(hash) = labels.get("pod-template-hash") {
        let name = pods.strip_suffix(hash.as_str())?.strip_suffix('-')?;
        return Some(workload("Deployment", name));
    }
    if labels.contains_key("statefulset.kubernetes.io/pod-name") {
        return Some(workload("StatefulSet", pods));
    }
    labels
        .contains_key("controller-revision-hash")
        .then(|| workload("DaemonSet", pods))
}

fn services(agent: &Agent) -> ServiceNames {
    let services = agent.watched.services.list();
    let nodes = agent.watched.nodes.list();
    let addresses = nodes.iter().filter_map(|node| node.internal_ipv4());
    let addresses = addresses.chain([agent.own.ip]).map(Into::into);
    ServiceNames::of(services.iter().map(AsRef::as_ref), addresses)
}

fn interfaces(agent: &Agent) -> HashMap<u32, String> {
    let endpoints = agent.endpoints.list();
    endpoints
        .into_iter()
        .map(|endpoint| (endpoint.ifindex, endpoint.interface))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_of_a_deployment_is_the_deployments_and_one_of_a_job_the_jobs() {
        let pod = |kind: &str, name: &str| -> Pod {
            serde_json::from_value(json!({"metadata": {
                "labels": {"pod-template-hash": "5d8f"},
                "ownerReferences": [{"apiVersion": "v1", "kind": kind, "name": name, "uid": "u", "controller": true}],
            }}))
            .unwrap()
        };
        let named = |pod: Pod| {
            let found = workloads(&pod);
            format!("{}/{}", found[0].kind, found[0].name)
        };
        assert_eq!(named(pod("ReplicaSet", "web-5d8f")), "Deployment/web");
        assert_eq!(named(pod("ReplicaSet", "other")), "ReplicaSet/other");
        assert_eq!(named(pod("Job", "once")), "Job/once");
    }

    #[test]
    fn a_pod_of_another_node_is_its_controllers_by_labels_and_name() {
        let told = |name: &str, label: &str, value: &str| {
            let metadata = ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some([(label.to_owned(), value.to_owned())].into()),
                ..ObjectMeta::default()
            };
            let told = elsewhere(&metadata)?;
            Some(format!("{}/{}", told.kind, told.name))
        };
        let by = |name, label, value| told(name, label, value).unwrap_or_default();
        assert_eq!(
            by("web-5d8f-x2k9z", "pod-template-hash", "5d8f"),
            "Deployment/web"
        );
        assert_eq!(
            by("db-0", "statefulset.kubernetes.io/pod-name", "db-0"),
            "StatefulSet/db"
        );
        assert_eq!(
            by("log-x2k9z", "controller-revision-hash", "77"),
            "DaemonSet/log"
        );
        assert_eq!(by("web-1", "app", "web"), "");
        assert_eq!(by("other-x2k9z", "pod-template-hash", "5d8f"), "");
    }
}

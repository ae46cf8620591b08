//! The watches: each fills its own cache and fails on its own.

use std::{fmt::Debug, sync::Arc};

use cilium_api::{
    CiliumEndpoint, CiliumIdentity, CiliumLoadBalancerIPPool, CiliumNode,
    load_balancer_pool::{
        REQUEST_ANNOTATIONS, SHARING_ACROSS_ANNOTATIONS, SHARING_KEY_ANNOTATIONS,
    },
    policy::{CiliumCIDRGroup, CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy},
};
use futures::StreamExt;
use gloonet_daemon::watching::{Pauses, interrupted};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, PodSpec, PodStatus, Service};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{cache::Cache, metrics::Metrics, seen::Seen};

/// Everything the duties read.
#[derive(Debug)]
pub struct World {
    /// Pods, without what no duty reads.
    pub pods: Cache<Pod>,
    /// Namespaces.
    pub namespaces: Cache<Namespace>,
    /// Nodes.
    pub nodes: Cache<Node>,
    /// CiliumNodes.
    pub cilium_nodes: Cache<CiliumNode>,
    /// CiliumIdentities.
    pub identities: Cache<CiliumIdentity>,
    /// CiliumEndpoints.
    pub endpoints: Cache<CiliumEndpoint>,
    /// CiliumNetworkPolicies.
    pub policies: Cache<CiliumNetworkPolicy>,
    /// CiliumClusterwideNetworkPolicies.
    pub clusterwide_policies: Cache<CiliumClusterwideNetworkPolicy>,
    /// CiliumCIDRGroups, by name only.
    pub cidr_groups: Cache<CiliumCIDRGroup>,
    /// Services, without what says nothing about load balancers.
    pub services: Cache<Service>,
    /// CiliumLoadBalancerIPPools.
    pub load_balancer_pools: Cache<CiliumLoadBalancerIPPool>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            pods: Cache::new(trim_pod),
            namespaces: Cache::new(|n| {
                forget(n);
                n.spec = None;
                n.status = None;
            }),
            nodes: Cache::new(trim_node),
            // The managers of the fields say who wrote the podCIDRs, an annotation which ones the agent runs with.
            cilium_nodes: Cache::new(|_| {}),
            identities: Cache::new(forget),
            endpoints: Cache::new(forget),
            policies: Cache::new(forget),
            clusterwide_policies: Cache::new(forget),
            cidr_groups: Cache::new(|group| {
                forget(group);
                group.spec = None;
            }),
            services: Cache::new(trim_service),
            load_balancer_pools: Cache::new(forget),
        }
    }
}

impl World {
    /// Starts every watch; they run until `stop`.
    pub fn start(
        client: &Client,
        metrics: &Arc<Metrics>,
        stop: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) -> Arc<Self> {
        let world = Arc::new(Self::default());
        let watches = Watches {
            client,
            metrics,
            stop,
            world: &world,
        };
        watches.spawn(tasks, "pods", |w| &w.pods);
        watches.spawn(tasks, "namespaces", |w| &w.namespaces);
        watches.spawn(tasks, "nodes", |w| &w.nodes);
        watches.spawn(tasks, "ciliumnodes", |w| &w.cilium_nodes);
        watches.spawn(tasks, "ciliumidentities", |w| &w.identities);
        watches.spawn(tasks, "ciliumendpoints", |w| &w.endpoints);
        watches.spawn(tasks, "ciliumnetworkpolicies", |w| &w.policies);
        watches.spawn(tasks, "ciliumclusterwidenetworkpolicies", |w| {
            &w.clusterwide_policies
        });
        watches.spawn(tasks, "ciliumcidrgroups", |w| &w.cidr_groups);
        watches.spawn(tasks, "services", |w| &w.services);
        watches.spawn(tasks, "ciliumloadbalancerippools", |w| {
            &w.load_balancer_pools
        });
        world
    }
}

struct Watches<'a> {
    client: &'a Client,
    metrics: &'a Arc<Metrics>,
    stop: &'a CancellationToken,
    world: &'a Arc<World>,
}

impl Watches<'_> {
    fn spawn<K>(
        &self,
        tasks: &mut JoinSet<()>,
        resource: &'static str,
        cache: fn(&World) -> &Cache<K>,
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let (client, metrics) = (self.client.clone(), self.metrics.clone());
        let (stop, world) = (self.stop.clone(), self.world.clone());
        tasks.spawn(async move {
            while !stop.is_cancelled() {
                let watch = follow(
                    client.clone(),
                    metrics.clone(),
                    world.clone(),
                    resource,
                    cache,
                );
                // A task that nobody waits for goes on: it has to see the end itself.
                let watch = stop.clone().run_until_cancelled_owned(watch);
                if let Err(failure) = tokio::spawn(watch).await {
                    error!(resource, error = %failure, "panic: the watch starts anew");
                }
            }
        });
    }
}

async fn follow<K>(
    client: Client,
    metrics: Arc<Metrics>,
    world: Arc<World>,
    resource: &'static str,
    cache: fn(&World) -> &Cache<K>,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let cache = cache(&world);
    let mut events = watcher(Api::<Seen<K>>::all(client), watcher::Config::default())
        .backoff(Pauses::default())
        .boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if let Some((key, reason)) = cache.take(event) {
                    warn!(resource, object = %key, error = reason, "object cannot be read and is left out");
                }
                metrics.unreadable(resource, cache.unreadable());
            }
            Err(error) => interrupted(resource, &error),
        }
    }
}

/// Drops metadata no duty reads.
fn forget<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().clear();
}

fn trim_pod(pod: &mut Pod) {
    forget(pod);
    if let Some(spec) = pod.spec.take() {
        pod.spec = Some(PodSpec {
            node_name: spec.node_name,
            service_account_name: spec.service_account_name,
            host_network: spec.host_network,
            ..PodSpec::default()
        });
    }
    if let Some(status) = pod.status.take() {
        pod.status = Some(PodStatus {
            phase: status.phase,
            pod_ips: status.pod_ips,
            conditions: status
                .conditions
                .map(|c| c.into_iter().filter(|c| c.type_ == "Ready").collect()),
            ..PodStatus::default()
        });
    }
}

fn trim_node(node: &mut Node) {
    forget(node);
    if let Some(status) = &mut node.status {
        status.images = None;
    }
}

/// Who manages the ingress stays: it says whether somebody else has written it.
fn trim_service(service: &mut Service) {
    let read = [
        REQUEST_ANNOTATIONS,
        SHARING_KEY_ANNOTATIONS,
        SHARING_ACROSS_ANNOTATIONS,
    ];
    service
        .annotations_mut()
        .retain(|key, _| read.as_flattened().contains(&key.as_str()));
    service.managed_fields_mut().retain(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.pointer("/f:status/f:loadBalancer").is_some())
    });
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;
    use crate::silent;

    #[tokio::test]
    async fn nothing_of_the_world_outlives_its_term() {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (client, _) = silent::client();
        let world = World::start(&client, &Arc::default(), &stop, &mut tasks);
        let world = Arc::downgrade(&{ world });
        tokio::task::yield_now().await;
        stop.cancel();
        while tasks.join_next().await.is_some() {}
        assert!(world.upgrade().is_none());
    }

    #[test]
    fn of_a_service_only_what_says_something_about_load_balancers_is_kept() {
        let fields = |manager: &str, status: &str| json!({"manager": manager, "fieldsV1": {"f:status": {status: {"f:ingress": {}}}}});
        let service = json!({"metadata": {
            "name": "web", "namespace": "shop", "labels": {"colour": "blue"},
            "annotations": {"lbipam.cilium.io/ips": "192.0.2.1", "kubectl.kubernetes.io/last-applied-configuration": "long"},
            "managedFields": [fields("kubectl", "f:other"), fields("cilium-operator", "f:loadBalancer")],
        }});
        let world = World::default();
        world
            .services
            .take(Event::Apply(serde_json::from_value(service).unwrap()));
        let services = world.services.snapshot().objects;
        let service = services.values().next().unwrap();
        let annotations: Vec<&String> = service.annotations().keys().collect();
        assert_eq!(annotations, ["lbipam.cilium.io/ips"]);
        assert_eq!(service.labels()["colour"], "blue");
        let managers = service.managed_fields().iter();
        let managers: Vec<_> = managers.map(|m| m.manager.as_deref()).collect();
        assert_eq!(managers, [Some("cilium-operator")]);
    }
}

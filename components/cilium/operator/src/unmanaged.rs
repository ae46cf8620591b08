//! Counts pods that run without an endpoint, for example because they started before the CNI.

use std::{sync::Arc, time::Instant};

use tokio::sync::watch;

use crate::{
    controller::{Controller, Decision},
    identities::controller::has_endpoint,
    metrics::Metrics,
    world::World,
};

/// The duty. Writes nothing.
#[derive(Debug)]
pub struct Unmanaged {
    metrics: Arc<Metrics>,
}

impl Unmanaged {
    /// Counts into `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics }
    }
}

/// Running pods of the cluster's network without an endpoint.
pub fn count(world: &World) -> usize {
    let (pods, endpoints) = (world.pods.snapshot(), world.endpoints.snapshot());
    if !(pods.synced && endpoints.synced) {
        return 0;
    }
    let running = pods.objects.iter().filter(|(_, p)| {
        has_endpoint(p) && p.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Running")
    });
    running
        .filter(|(key, _)| {
            !endpoints.objects.contains_key(key) && !endpoints.unreadable.contains_key(key)
        })
        .count()
}

impl Controller for Unmanaged {
    const NAME: &'static str = "unmanaged-pods";

    fn sources(&self, world: &World) -> Vec<watch::Receiver<u64>> {
        vec![world.pods.changes(), world.endpoints.changes()]
    }

    fn decide(&mut self, world: &World, _now: Instant) -> Decision {
        self.metrics.unmanaged(count(world));
        Decision::default()
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_running_pod_without_endpoint_counts_and_one_on_the_host_network_does_not() {
        let world = World::default();
        for (name, on_host, phase) in [
            ("a", false, "Running"),
            ("b", false, "Running"),
            ("c", true, "Running"),
            ("d", false, "Pending"),
        ] {
            let pod = json!({
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {"containers": [], "hostNetwork": on_host}, "status": {"phase": phase},
            });
            world
                .pods
                .take(Event::InitApply(serde_json::from_value(pod).unwrap()));
        }
        world.pods.take(Event::InitDone);
        let endpoint = json!({"metadata": {"name": "a", "namespace": "shop"}});
        world
            .endpoints
            .take(Event::InitApply(serde_json::from_value(endpoint).unwrap()));
        assert_eq!(count(&world), 0);
        world.endpoints.take(Event::InitDone);
        assert_eq!(count(&world), 1);
    }
}

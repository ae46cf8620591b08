//! Requests and limits: quantities, and no request above its limit (the API server would refuse the pods, one by one and late).

use gloonet_api::{GlooNetworkSpec, Resources};

use super::Refusal;
use crate::quantity;

pub(super) fn all(spec: &GlooNetworkSpec, refusals: &mut Vec<Refusal>) {
    let blocks: [(&str, &Resources); 12] = [
        ("cilium.resources", &spec.cilium.resources),
        ("cilium.operator.resources", &spec.cilium.operator.resources),
        (
            "gloo.managementServer.resources",
            &spec.gloo.management_server.resources,
        ),
        ("gloo.agent.resources", &spec.gloo.agent.resources),
        ("gloo.analyzer.resources", &spec.gloo.analyzer.resources),
        ("gloo.insights.resources", &spec.gloo.insights.resources),
        (
            "telemetry.gateway.resources",
            &spec.telemetry.gateway.resources,
        ),
        (
            "telemetry.collectors.resources",
            &spec.telemetry.collectors.resources,
        ),
        ("telemetry.logs.resources", &spec.telemetry.logs.resources),
        ("redis.managed.resources", &spec.redis.managed.resources),
        (
            "prometheus.managed.resources",
            &spec.prometheus.managed.resources,
        ),
        ("grafana.managed.resources", &spec.grafana.managed.resources),
    ];
    for (field, block) in blocks {
        for (list, quantities) in [("requests", &block.requests), ("limits", &block.limits)] {
            for (resource, given) in quantities {
                if quantity::units(given).is_none() {
                    let message = format!(
                        "{:?} is no quantity; write for example 100m or 128Mi",
                        given.0
                    );
                    refusals.push(Refusal::new(&format!("{field}.{list}.{resource}"), message));
                }
            }
        }
        for (resource, request) in &block.requests {
            let limit = block.limits.get(resource);
            let pair = limit.and_then(|limit| {
                Some((limit, quantity::units(request)?, quantity::units(limit)?))
            });
            if let Some((limit, wanted, allowed)) = pair
                && wanted > allowed
            {
                let message = format!(
                    "the request of {} exceeds the limit of {}; lower it or raise the limit",
                    request.0, limit.0
                );
                refusals.push(Refusal::new(
                    &format!("{field}.requests.{resource}"),
                    message,
                ));
            }
        }
    }
}

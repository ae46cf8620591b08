//! The shape every installed component has, and the list of them.

use kube_core::DynamicObject;

use crate::{
    ComponentId, Health, Input, Observed, Probe, SecretSpec, analyzer, cilium_agent,
    cilium_operator, collectors, crds, gateway, gloo_agent, grafana, hubble_relay, insights,
    management_server, operator_dashboard, prometheus, redis, trust,
};

/// One installable part of the platform.
///
/// Guarantees: the same input gives the same objects, in the order they are to be applied (NetworkPolicies last);
/// every object carries the managed-by and component labels and no status or managed fields.
/// Assumptions: [`Component::objects`] is only called when [`Component::enabled`] is true for the same input.
pub trait Component: Sync {
    fn id(&self) -> ComponentId;

    /// What must be healthy before this is applied. A component that is not enabled counts as healthy.
    fn needs(&self) -> &'static [ComponentId];

    fn enabled(&self, input: &Input) -> bool;

    /// Secrets that must exist before the objects are applied.
    fn secrets(&self, _input: &Input) -> Vec<SecretSpec> {
        Vec::new()
    }

    fn objects(&self, input: &Input) -> Result<Vec<DynamicObject>, RenderError>;

    /// What to measure at the running thing. Empty when the workload's own counts say all there is.
    fn probes(&self, input: &Input) -> Vec<Probe>;

    /// Whether its health depends on CiliumNodes, which belong to no component.
    fn reads_cilium_nodes(&self) -> bool {
        false
    }

    /// Pure judgement over what was seen.
    fn health(&self, input: &Input, observed: &Observed) -> Health;
}

/// A component could not be rendered. Only a defect of the catalog or of the release lock leads here.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("object {object} of the catalog is not valid JSON for its kind")]
    Object {
        object: String,
        source: serde_json::Error,
    },
    #[error("template {template} cannot be rendered")]
    Template {
        template: &'static str,
        source: Box<handlebars::RenderError>,
    },
    #[error("a specification the operator's rights are made from is refused: {refusals}")]
    Shape { refusals: String },
    #[error("no image can be named")]
    Image(#[source] crate::ImageError),
}

/// Every component, in an order that respects what each needs.
pub fn catalog() -> [&'static dyn Component; 15] {
    ComponentId::ALL.map(component)
}

/// The component of that name.
pub fn component(id: ComponentId) -> &'static dyn Component {
    match id {
        ComponentId::Crds => &crds::Crds,
        ComponentId::Trust => &trust::Trust,
        ComponentId::CiliumAgent => &cilium_agent::CiliumAgent,
        ComponentId::CiliumOperator => &cilium_operator::CiliumOperator,
        ComponentId::HubbleRelay => &hubble_relay::HubbleRelay,
        ComponentId::Redis => &redis::Redis,
        ComponentId::Prometheus => &prometheus::Prometheus,
        ComponentId::Gateway => &gateway::Gateway,
        ComponentId::Collectors => &collectors::Collectors,
        ComponentId::ManagementServer => &management_server::ManagementServer,
        ComponentId::GlooAgent => &gloo_agent::GlooAgent,
        ComponentId::Analyzer => &analyzer::Analyzer,
        ComponentId::Insights => &insights::Insights,
        ComponentId::Grafana => &grafana::Grafana,
        ComponentId::OperatorDashboard => &operator_dashboard::OperatorDashboard,
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! The operator's own dashboard: one ConfigMap, for the managed Grafana or one of the user's.

use gloonet_api::MESH_NAMESPACE;
use gloonet_api::grafana::GrafanaMode;
use kube_core::DynamicObject;

use crate::object::Builder;
use crate::{Component, ComponentId, Health, Input, Observed, Probe, RenderError, dashboards};

#[derive(Debug)]
pub(crate) struct OperatorDashboard;

impl Component for OperatorDashboard {
    fn id(&self) -> ComponentId {
        ComponentId::OperatorDashboard
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[ComponentId::Trust]
    }

    fn enabled(&self, input: &Input) -> bool {
        input.manages() && input.spec.grafana.mode != GrafanaMode::Disabled
    }

    fn objects(&self, _input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        let builder = Builder::new(ComponentId::OperatorDashboard, MESH_NAMESPACE);
        Ok(vec![dashboards::config_map(
            &builder,
            &dashboards::OPERATOR,
            MESH_NAMESPACE,
        )?])
    }

    fn probes(&self, _input: &Input) -> Vec<Probe> {
        Vec::new()
    }

    fn health(&self, _input: &Input, observed: &Observed) -> Health {
        let name = format!("{MESH_NAMESPACE}/{}", dashboards::OPERATOR.config_map);
        if observed.config_maps.contains(&name) {
            return Health::healthy(format!("ConfigMap {name} exists")).counted(1, 1);
        }
        Health::progressing(format!("ConfigMap {name} does not exist yet")).counted(0, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;
    use crate::component::tests::input;

    #[test]
    fn the_dashboard_is_healthy_exactly_when_its_config_map_exists() {
        let mut observed = Observed::default();
        assert_eq!(
            OperatorDashboard.health(&input(), &observed).state,
            State::Progressing
        );
        observed
            .config_maps
            .push("gloo-mesh/gloonet-dashboard-operator".to_owned());
        assert_eq!(
            OperatorDashboard.health(&input(), &observed).state,
            State::Healthy
        );
    }
}

//! The names of what can be installed, as people see them.

use std::fmt;
use std::str::FromStr;

/// One installable part of the platform.
///
/// `Display` is the name in status, labels, events, metrics and `gloonet explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ComponentId {
    Crds,
    Trust,
    CiliumAgent,
    CiliumOperator,
    HubbleRelay,
    Redis,
    Prometheus,
    Gateway,
    Collectors,
    ManagementServer,
    GlooAgent,
    Analyzer,
    Insights,
    Grafana,
    OperatorDashboard,
}

impl ComponentId {
    /// Every component, in an order that respects what each needs.
    pub const ALL: [Self; 15] = [
        Self::Crds,
        Self::Trust,
        Self::CiliumOperator,
        Self::CiliumAgent,
        Self::HubbleRelay,
        Self::Redis,
        Self::Prometheus,
        Self::Gateway,
        Self::Collectors,
        Self::ManagementServer,
        Self::GlooAgent,
        Self::Analyzer,
        Self::Insights,
        Self::OperatorDashboard,
        Self::Grafana,
    ];

    /// The name people see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crds => "crds",
            Self::Trust => "trust",
            Self::CiliumAgent => "cilium-agent",
            Self::CiliumOperator => "cilium-operator",
            Self::HubbleRelay => "hubble-relay",
            Self::Redis => "redis",
            Self::Prometheus => "prometheus",
            Self::Gateway => "telemetry-gateway",
            Self::Collectors => "telemetry-collectors",
            Self::ManagementServer => "management-server",
            Self::GlooAgent => "gloo-agent",
            Self::Analyzer => "analyzer",
            Self::Insights => "insights",
            Self::Grafana => "grafana",
            Self::OperatorDashboard => "operator-dashboard",
        }
    }

    /// The server-side apply field manager that owns this component's fields.
    pub fn field_manager(self) -> String {
        format!("gloonet/{self}")
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The text names no component of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no component is called {given:?}; there are {}", ComponentId::ALL.map(ComponentId::as_str).join(", "))]
pub struct UnknownComponent {
    given: String,
}

impl FromStr for ComponentId {
    type Err = UnknownComponent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|id| id.as_str() == text)
            .ok_or_else(|| UnknownComponent {
                given: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_its_component() {
        for id in ComponentId::ALL {
            assert_eq!(id.as_str().parse(), Ok(id));
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_names_there_are() {
        let refusal = "redis2".parse::<ComponentId>().unwrap_err().to_string();
        assert!(
            refusal.contains("redis2") && refusal.contains("telemetry-gateway"),
            "{refusal}"
        );
    }
}

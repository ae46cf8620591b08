//! One run of one analyzer.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Certificates, CiliumAgents, CiliumConfig, CiliumOperator, CniConfiguration, GlooComponents,
    Hubble, Images, NetworkPolicies, Nodes, Proxies,
};

/// Version of the shapes in this crate.
pub const SCHEMA: u32 = 1;

/// An analyzer, by the name it has in logs, metrics and Redis keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Analyzer {
    CiliumAgents,
    CiliumConfig,
    CiliumOperator,
    CniConfiguration,
    Certificates,
    GlooComponents,
    Hubble,
    Images,
    NetworkPolicies,
    Nodes,
    Proxies,
}

impl Analyzer {
    /// Every analyzer.
    pub const ALL: [Self; 11] = [
        Self::CiliumAgents,
        Self::CiliumConfig,
        Self::CiliumOperator,
        Self::CniConfiguration,
        Self::Certificates,
        Self::GlooComponents,
        Self::Hubble,
        Self::Images,
        Self::NetworkPolicies,
        Self::Nodes,
        Self::Proxies,
    ];

    /// The name people see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CiliumAgents => "cilium-agents",
            Self::CiliumConfig => "cilium-config",
            Self::CiliumOperator => "cilium-operator",
            Self::CniConfiguration => "cni-configuration",
            Self::Certificates => "certificates",
            Self::GlooComponents => "gloo-components",
            Self::Hubble => "hubble",
            Self::Images => "images",
            Self::NetworkPolicies => "network-policies",
            Self::Nodes => "nodes",
            Self::Proxies => "proxies",
        }
    }
}

impl fmt::Display for Analyzer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The text names no analyzer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no analyzer is called {given:?}")]
pub struct UnknownAnalyzer {
    given: String,
}

impl FromStr for Analyzer {
    type Err = UnknownAnalyzer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|analyzer| analyzer.as_str() == text);
        found.ok_or_else(|| UnknownAnalyzer {
            given: text.to_owned(),
        })
    }
}

/// One run of one analyzer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`SCHEMA`] of the analyzer that wrote it.
    pub schema: u32,
    /// Tells this run from every other one.
    pub run: String,
    /// When the run ended, by the analyzer's clock.
    pub taken: Timestamp,
    /// Seconds until the next run. A report older than several of them says nothing about now.
    pub interval: u32,
    /// Release of the analyzer.
    pub version: String,
    pub analyzer: Analyzer,
    pub outcome: Outcome,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every one is the large one"
)]
pub enum Outcome {
    /// What was found.
    Found(Record),
    /// Nothing, and why. What was found before is no longer known to be so.
    Failed(String),
}

/// What an analyzer found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Record {
    CiliumAgents(CiliumAgents),
    CiliumConfig(CiliumConfig),
    CiliumOperator(CiliumOperator),
    CniConfiguration(CniConfiguration),
    Certificates(Certificates),
    GlooComponents(GlooComponents),
    Hubble(Hubble),
    Images(Images),
    NetworkPolicies(NetworkPolicies),
    Nodes(Nodes),
    Proxies(Proxies),
}

impl Record {
    /// Whose record it is.
    pub const fn analyzer(&self) -> Analyzer {
        match self {
            Self::CiliumAgents(_) => Analyzer::CiliumAgents,
            Self::CiliumConfig(_) => Analyzer::CiliumConfig,
            Self::CiliumOperator(_) => Analyzer::CiliumOperator,
            Self::CniConfiguration(_) => Analyzer::CniConfiguration,
            Self::Certificates(_) => Analyzer::Certificates,
            Self::GlooComponents(_) => Analyzer::GlooComponents,
            Self::Hubble(_) => Analyzer::Hubble,
            Self::Images(_) => Analyzer::Images,
            Self::NetworkPolicies(_) => Analyzer::NetworkPolicies,
            Self::Nodes(_) => Analyzer::Nodes,
            Self::Proxies(_) => Analyzer::Proxies,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_its_analyzer_and_is_the_one_on_the_wire() {
        for analyzer in Analyzer::ALL {
            assert_eq!(analyzer.as_str().parse(), Ok(analyzer));
            assert_eq!(
                serde_json::to_value(analyzer).unwrap(),
                analyzer.as_str(),
                "{analyzer}"
            );
        }
        assert!("envoy".parse::<Analyzer>().is_err());
    }
}

//! One file per analyzer. Each reads ([`Reader`]), decides in a pure function, and returns its record.

mod certificates;
mod cilium_agents;
mod cilium_config;
mod cilium_operator;
mod cni_configuration;
mod gloo_components;
mod hubble;
mod images;
mod network_policies;
mod nodes;
mod proxies;

use gloo_record::{Analyzer, Record};

use crate::reader::{AnalyzeError, Reader};

/// Runs one analyzer once.
pub async fn run(analyzer: Analyzer, reader: &Reader) -> Result<Record, AnalyzeError> {
    Ok(match analyzer {
        Analyzer::CiliumAgents => Record::CiliumAgents(cilium_agents::run(reader).await?),
        Analyzer::CiliumConfig => Record::CiliumConfig(cilium_config::run(reader).await?),
        Analyzer::CiliumOperator => Record::CiliumOperator(cilium_operator::run(reader).await?),
        Analyzer::CniConfiguration => {
            Record::CniConfiguration(cni_configuration::run(reader).await?)
        }
        Analyzer::Certificates => Record::Certificates(certificates::run(reader).await?),
        Analyzer::GlooComponents => Record::GlooComponents(gloo_components::run(reader).await?),
        Analyzer::Hubble => Record::Hubble(hubble::run(reader).await?),
        Analyzer::Images => Record::Images(images::run(reader)?),
        Analyzer::NetworkPolicies => Record::NetworkPolicies(network_policies::run(reader)?),
        Analyzer::Nodes => Record::Nodes(nodes::run(reader).await?),
        Analyzer::Proxies => Record::Proxies(proxies::run(reader)?),
    })
}

/// How many intervals lie between two runs: those that connect to many places go easier.
pub const fn every(analyzer: Analyzer) -> u32 {
    match analyzer {
        Analyzer::Certificates | Analyzer::Images => 2,
        _ => 1,
    }
}

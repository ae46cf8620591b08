//! `cilium-config`, and the nodes that run with another one.

use std::{collections::BTreeMap, sync::Arc};

use gloo_record::{CiliumConfig, cilium_config::Running};
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use crate::{
    agents::Answer,
    reader::{AnalyzeError, Reader},
};

pub(super) async fn run(reader: &Reader) -> Result<CiliumConfig, AnalyzeError> {
    let answers = reader.answers().await?;
    let kube_proxy_nodes = kube_proxy(&reader.world.daemonsets.all()?);
    let data = reader
        .cilium_config()
        .await?
        .map(|map| map.data.unwrap_or_default());
    Ok(record(data, &answers, kube_proxy_nodes))
}

fn record(
    data: Option<BTreeMap<String, String>>,
    answers: &[Answer],
    kube_proxy_nodes: u32,
) -> CiliumConfig {
    let mut config = CiliumConfig {
        digest: digest(data.as_ref().unwrap_or(&BTreeMap::new())),
        data,
        kube_proxy_nodes,
        ..CiliumConfig::default()
    };
    for answer in answers {
        let node = answer.node().to_owned();
        match &answer.facts {
            Ok(facts) => config.nodes.push(Running {
                node,
                digest: facts.config_digest.clone(),
            }),
            Err(_) => config.unknown.push(node),
        }
    }
    config.nodes.sort_by(|one, other| one.node.cmp(&other.node));
    config.unknown.sort();
    config
}

/// As the agent makes it of the files it was given.
fn digest(data: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (key, value) in data {
        for text in [key, value] {
            hash.update(text);
            hash.update([0]);
        }
    }
    format!("{:x}", hash.finalize())
}

fn kube_proxy(all: &[Arc<DaemonSet>]) -> u32 {
    let found = all.iter().find(|set| {
        set.name_any() == "kube-proxy" && set.namespace().as_deref() == Some("kube-system")
    });
    let status = found.and_then(|set| set.status.as_ref());
    status.map_or(0, |status| {
        u32::try_from(status.current_number_scheduled).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_tells_key_from_value() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            digest(&pairs.collect())
        };
        assert_ne!(of(&[("ab", "c")]), of(&[("a", "bc")]));
        assert_eq!(of(&[("a", "b"), ("c", "d")]), of(&[("c", "d"), ("a", "b")]));
    }
}

//! CNI configuration files of every node, as its agent sees them.

use cilium_api::names::CNI_CONF;
use gloo_record::{CniConfiguration, cni_configuration::Node};

use crate::{
    agents::Answer,
    reader::{AnalyzeError, Reader},
};

pub(super) async fn run(reader: &Reader) -> Result<CniConfiguration, AnalyzeError> {
    Ok(record(&reader.answers().await?))
}

fn record(answers: &[Answer]) -> CniConfiguration {
    let mut record = CniConfiguration {
        own: CNI_CONF.to_owned(),
        ..CniConfiguration::default()
    };
    for answer in answers {
        let node = answer.node().to_owned();
        match &answer.facts {
            Ok(facts) => record.nodes.push(Node {
                node,
                files: facts.cni_files.clone(),
            }),
            Err(_) => record.unknown.push(node),
        }
    }
    record.nodes.sort_by(|one, other| one.node.cmp(&other.node));
    record.unknown.sort();
    record
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gloo_record::cilium_agents::Health;
    use serde_json::json;

    use super::*;
    use crate::agents::Facts;

    #[test]
    fn a_node_whose_agent_does_not_answer_is_unknown_and_not_without_files() {
        let answer = |node: &str, facts| Answer {
            pod: Arc::new(
                serde_json::from_value(json!({"spec": {"nodeName": node, "containers": []}}))
                    .unwrap(),
            ),
            health: Health::Ok,
            metrics: None,
            facts,
            clock_ahead_ms: 0,
        };
        let facts = Facts {
            cni_files: vec![CNI_CONF.to_owned()],
            ..Facts::default()
        };
        let record = record(&[
            answer("b", Err("refused".to_owned())),
            answer("a", Ok(facts)),
        ]);
        assert_eq!((record.nodes.len(), record.unknown.len()), (1, 1));
        assert_eq!(record.nodes[0].files, [CNI_CONF]);
    }
}

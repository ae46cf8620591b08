//! `gloonet clusters`: every registered cluster, and whether its agent is connected and its snapshot complete.

use std::path::Path;

use comfy_table::{Table, presets};
use gloo_api::{KubernetesCluster, names::NAMESPACE};
use jiff::Timestamp;
use kube::{Api, ResourceExt, api::ListParams};
use serde::Serialize;

use crate::{
    age::age,
    fetch::{self, FetchError},
    format::{self, Format, FormatError},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// The clusters could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ClustersError {
    #[error("the management cluster cannot be asked")]
    Fetch(#[source] FetchError),
    #[error(
        "the API server does not know KubernetesClusters: run this against the cluster that manages, once its GlooNetwork is there"
    )]
    NoDefinition,
    #[error("KubernetesClusters of namespace {NAMESPACE} cannot be listed")]
    List(#[source] kube::Error),
    #[error("they cannot be printed")]
    Format(#[source] FormatError),
}

/// One cluster, as the management server says in its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    /// `True`, `False` or `Unknown`: its agent has a stream to a replica of the server.
    connected: String,
    /// The same: all that the agent sees has arrived.
    warmed: String,
    /// Since when the connection is as it is.
    since: Option<Timestamp>,
    message: String,
}

pub(crate) async fn run(
    kubeconfig: Option<&Path>,
    given: &Arguments,
) -> Result<String, ClustersError> {
    let client = fetch::client(kubeconfig)
        .await
        .map_err(ClustersError::Fetch)?;
    let api: Api<KubernetesCluster> = Api::namespaced(client, NAMESPACE);
    let found = match api.list(&ListParams::default()).await {
        Ok(found) => found,
        Err(kube::Error::Api(status)) if status.code == 404 => {
            return Err(ClustersError::NoDefinition);
        }
        Err(error) => return Err(ClustersError::List(error)),
    };
    let rows: Vec<Row> = found.items.iter().map(row).collect();
    match given.output {
        Format::Table => Ok(table(&rows, Timestamp::now())),
        Format::Json => format::json(&rows).map_err(ClustersError::Format),
        Format::Yaml => format::yaml(&rows).map_err(ClustersError::Format),
    }
}

fn row(cluster: &KubernetesCluster) -> Row {
    let condition = |name: &str| cluster.status.as_ref()?.condition(name);
    let status = |name: &str| {
        condition(name).map_or_else(
            || "Unknown".to_owned(),
            |condition| condition.status.clone(),
        )
    };
    let unsaid = "the management server has said nothing about it yet";
    let connection = condition("Connected");
    Row {
        name: cluster.name_any(),
        connected: status("Connected"),
        warmed: status("Warmed"),
        since: connection
            .and_then(|condition| condition.last_transition_time.as_deref()?.parse().ok()),
        message: connection
            .map_or_else(|| unsaid.to_owned(), |condition| condition.message.clone()),
    }
}

fn table(rows: &[Row], now: Timestamp) -> String {
    if rows.is_empty() {
        return "no cluster yet: gloonet cluster register\n".to_owned();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["CLUSTER", "CONNECTED", "WARMED", "SINCE", "MESSAGE"]);
    for row in rows {
        let since = row.since.map(|since| age(since, now)).unwrap_or_default();
        table.add_row([
            row.name.as_str(),
            &row.connected,
            &row.warmed,
            &since,
            &row.message,
        ]);
    }
    let lines = table.lines().map(|line| line.trim().to_owned());
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(status: serde_json::Value) -> KubernetesCluster {
        let mut object = json!({
            "apiVersion": "admin.gloo.solo.io/v2", "kind": "KubernetesCluster",
            "metadata": {"name": "east", "namespace": "gloo-mesh"},
            "spec": {},
        });
        object["status"] = status;
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_connected_cluster_is_shown_with_the_servers_words() {
        let object = cluster(json!({"conditions": [
            {"type": "Connected", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "message": "by gloo-mesh-mgmt-server-a"},
            {"type": "Warmed", "status": "False"},
        ]}));
        let text = table(&[row(&object)], "2026-01-01T00:03:12Z".parse().unwrap());
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words[..4], ["east", "True", "False", "3m12s"]);
        assert!(text.contains("by gloo-mesh-mgmt-server-a"), "{text}");
    }

    #[test]
    fn a_cluster_nobody_has_spoken_of_is_unknown_and_not_disconnected() {
        let found = row(&cluster(json!({})));
        assert_eq!(
            (found.connected.as_str(), found.warmed.as_str()),
            ("Unknown", "Unknown")
        );
    }
}

//! `provisioning/datasources/*.yaml`. Any fault in them ends Grafana's start, and ours.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::content::LoadError;
use crate::walk;

/// Kinds of data source that Grafana brings along and that we provision.
const KNOWN_TYPES: [&str; 8] = [
    "prometheus",
    "loki",
    "tempo",
    "jaeger",
    "alertmanager",
    "elasticsearch",
    "influxdb",
    "graphite",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    api_version: Option<i64>,
    #[serde(default)]
    datasources: Vec<Datasource>,
}

/// One provisioned data source.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Datasource {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub uid: String,
    #[serde(default, rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub access: String,
    #[serde(default)]
    pub url: String,
    #[serde(default)]
    pub is_default: bool,
    #[serde(default = "first")]
    pub org_id: i64,
    #[serde(default)]
    pub json_data: Value,
}

fn first() -> i64 {
    1
}

/// Reads and judges all files of the folder.
pub fn load(folder: &Path) -> Result<Vec<Datasource>, LoadError> {
    let mut all: Vec<Datasource> = Vec::new();
    for path in walk::files(folder, &["yaml", "yml"]).map_err(|source| LoadError::Folder {
        path: folder.into(),
        source,
    })? {
        let text = std::fs::read_to_string(&path).map_err(|source| LoadError::File {
            path: path.clone(),
            source,
        })?;
        let file: File = serde_norway::from_str(&text).map_err(|source| LoadError::Yaml {
            path: path.clone(),
            source,
        })?;
        let refuse = |reason: String| LoadError::Refused {
            path: path.clone(),
            reason,
        };
        if file.api_version != Some(1) {
            return Err(refuse("apiVersion must be 1".to_owned()));
        }
        for datasource in file.datasources {
            judge(&datasource, &all).map_err(refuse)?;
            all.push(datasource);
        }
    }
    Ok(all)
}

fn judge(given: &Datasource, earlier: &[Datasource]) -> Result<(), String> {
    if given.name.is_empty() {
        return Err("a data source has no name".to_owned());
    }
    let name = &given.name;
    if !KNOWN_TYPES.contains(&given.kind.as_str()) {
        return Err(format!(
            "data source {name:?} has type {:?}, for which there is no plugin",
            given.kind
        ));
    }
    if !["", "proxy", "direct"].contains(&given.access.as_str()) {
        return Err(format!(
            "data source {name:?} has access {:?}; it is proxy or direct",
            given.access
        ));
    }
    if given.url.is_empty() {
        return Err(format!("data source {name:?} has no url"));
    }
    if given.url.contains('$') {
        return Err(format!(
            "data source {name:?}: this stand-in does not fill in variables"
        ));
    }
    let same_org: Vec<&Datasource> = earlier
        .iter()
        .filter(|other| other.org_id == given.org_id)
        .collect();
    if given.is_default && same_org.iter().any(|other| other.is_default) {
        return Err(format!(
            "data source {name:?} is a second default of its organization"
        ));
    }
    let uids: BTreeSet<&str> = same_org
        .iter()
        .map(|other| other.uid.as_str())
        .filter(|uid| !uid.is_empty())
        .collect();
    if uids.contains(given.uid.as_str()) || same_org.iter().any(|other| other.name == given.name) {
        return Err(format!("data source {name:?}: name or uid is used twice"));
    }
    Ok(())
}

impl Datasource {
    /// As the HTTP API shows it.
    pub fn to_json(&self, id: usize) -> Value {
        json!({
            "id": id, "uid": self.uid, "orgId": self.org_id, "name": self.name, "type": self.kind,
            "access": if self.access.is_empty() { "proxy" } else { &self.access },
            "url": self.url, "isDefault": self.is_default, "jsonData": self.json_data, "readOnly": true,
        })
    }
}

//! `provisioning/dashboards/*.yaml` and the dashboards they point at. A fault in a provider ends the start; a dashboard that Grafana
//! would refuse is logged and left out, as Grafana does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::content::LoadError;
use crate::walk;

/// Longest uid of a dashboard.
const UID_LENGTH: usize = 40;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    api_version: Option<i64>,
    #[serde(default)]
    providers: Vec<Provider>,
}

/// Where dashboards come from.
#[derive(Debug, Clone, Deserialize)]
pub struct Provider {
    #[serde(default)]
    pub name: String,
    #[serde(default, rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub folder: String,
    #[serde(default)]
    pub options: Options,
}

/// Options of a provider of type `file`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Options {
    pub path: Option<PathBuf>,
}

/// A dashboard that Grafana would show.
#[derive(Debug, Clone)]
pub struct Dashboard {
    pub uid: String,
    pub title: String,
    pub folder: String,
    pub json: Value,
}

/// Why one dashboard is not shown.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Refused {
    pub path: PathBuf,
    pub reason: String,
}

/// Reads and judges the provider files of the folder.
pub fn providers(folder: &Path) -> Result<Vec<Provider>, LoadError> {
    let mut all: Vec<Provider> = Vec::new();
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
        for provider in file.providers {
            judge_provider(&provider, &all).map_err(refuse)?;
            all.push(provider);
        }
    }
    Ok(all)
}

fn judge_provider(provider: &Provider, earlier: &[Provider]) -> Result<(), String> {
    let name = &provider.name;
    if name.is_empty() {
        return Err("a provider has no name".to_owned());
    }
    if earlier.iter().any(|other| other.name == *name) {
        return Err(format!("provider name {name:?} is used twice"));
    }
    if !["", "file"].contains(&provider.kind.as_str()) {
        return Err(format!(
            "provider {name:?} has type {:?}; only file is supported",
            provider.kind
        ));
    }
    match &provider.options.path {
        None => Err(format!("provider {name:?} has no options.path")),
        Some(path) if !path.is_dir() => Err(format!(
            "provider {name:?}: {} is no folder",
            path.display()
        )),
        Some(_) => Ok(()),
    }
}

/// Reads the dashboards of all providers: those that are shown, and those that are not with the reason.
pub fn load(providers: &[Provider]) -> Result<(Vec<Dashboard>, Vec<Refused>), LoadError> {
    let (mut shown, mut refused) = (Vec::new(), Vec::new());
    for provider in providers {
        let Some(folder) = &provider.options.path else {
            continue;
        };
        let files = walk::files(folder, &["json"]).map_err(|source| LoadError::Folder {
            path: folder.clone(),
            source,
        })?;
        for path in files {
            match read(&path, &provider.folder) {
                Ok(dashboard) => shown.push((path, dashboard)),
                Err(reason) => refused.push(Refused { path, reason }),
            }
        }
    }
    Ok((unique(shown, &mut refused), refused))
}

fn read(path: &Path, folder: &str) -> Result<Dashboard, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let json: Value =
        serde_json::from_str(&text).map_err(|error| format!("is no JSON: {error}"))?;
    let Some(fields) = json.as_object() else {
        return Err("is no JSON object".to_owned());
    };
    let title = fields
        .get("title")
        .and_then(Value::as_str)
        .map(str::trim)
        .unwrap_or_default()
        .to_owned();
    if title.is_empty() {
        return Err("Dashboard title cannot be empty".to_owned());
    }
    let uid = fields
        .get("uid")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if uid.len() > UID_LENGTH || !uid.bytes().all(plain) {
        return Err(format!(
            "uid {uid:?} contains illegal characters or is longer than {UID_LENGTH}"
        ));
    }
    let panels = fields.get("panels").is_none_or(Value::is_array);
    let version = fields.get("schemaVersion").is_none_or(Value::is_number);
    if !panels || !version {
        return Err("panels must be a list and schemaVersion a number".to_owned());
    }
    // Grafana makes up a uid where there is none; the file's name does as well here.
    let made_up = || {
        path.file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let uid = if uid.is_empty() { made_up() } else { uid };
    Ok(Dashboard {
        uid,
        title,
        folder: folder.to_owned(),
        json,
    })
}

/// Grafana shows none of several dashboards with one uid, or with one title in one folder: it cannot tell which is meant.
fn unique(shown: Vec<(PathBuf, Dashboard)>, refused: &mut Vec<Refused>) -> Vec<Dashboard> {
    let mut uids: BTreeMap<String, usize> = BTreeMap::new();
    let mut titles: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (_, dashboard) in &shown {
        *uids.entry(dashboard.uid.clone()).or_default() += 1;
        *titles
            .entry((dashboard.folder.clone(), dashboard.title.clone()))
            .or_default() += 1;
    }
    let doubled: BTreeSet<String> = uids
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(uid, _)| uid)
        .collect();
    let mut kept = Vec::new();
    for (path, dashboard) in shown {
        if doubled.contains(&dashboard.uid) {
            refused.push(Refused {
                path,
                reason: format!("the same UID {:?} is used more than once", dashboard.uid),
            });
        } else if titles
            .get(&(dashboard.folder.clone(), dashboard.title.clone()))
            .is_some_and(|count| *count > 1)
        {
            refused.push(Refused {
                path,
                reason: format!("title {:?} is not unique in its folder", dashboard.title),
            });
        } else {
            kept.push(dashboard);
        }
    }
    kept
}

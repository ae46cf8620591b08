//! Everything that is provisioned.

use std::io;
use std::path::{Path, PathBuf};

use crate::dashboards::{self, Dashboard, Refused};
use crate::datasources::{self, Datasource};

/// What is served.
#[derive(Debug)]
pub struct Content {
    pub datasources: Vec<Datasource>,
    pub dashboards: Vec<Dashboard>,
    /// Dashboards that Grafana would log and leave out.
    pub refused: Vec<Refused>,
}

/// A provisioning file that ends Grafana's start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("folder {} cannot be listed", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("{} cannot be read", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is not valid YAML of the expected shape", path.display())]
    Yaml {
        path: PathBuf,
        source: serde_norway::Error,
    },
    #[error("{}: {reason}", path.display())]
    Refused { path: PathBuf, reason: String },
}

/// Reads the provisioning folder and what its providers point at.
pub fn load(provisioning: &Path) -> Result<Content, LoadError> {
    let datasources = datasources::load(&provisioning.join("datasources"))?;
    let providers = dashboards::providers(&provisioning.join("dashboards"))?;
    let (dashboards, refused) = dashboards::load(&providers)?;
    Ok(Content {
        datasources,
        dashboards,
        refused,
    })
}

#[cfg(test)]
mod tests;

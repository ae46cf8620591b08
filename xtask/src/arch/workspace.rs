//! The workspace as cargo sees it, reduced to what the rules ask for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// All of our crates.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    pub root: PathBuf,
    pub crates: Vec<Crate>,
}

/// One of our crates.
#[derive(Clone, Debug, Default)]
pub struct Crate {
    pub name: String,
    pub folder: PathBuf,
    /// Normal and build dependencies, ours and others'.
    pub dependencies: Vec<String>,
    pub dev_dependencies: Vec<String>,
    /// Root files of libraries, binaries, tests, benches.
    pub roots: Vec<PathBuf>,
}

impl Workspace {
    /// Asks cargo, without touching the network.
    pub fn read(root: &Path) -> Result<Self> {
        let metadata = MetadataCommand::new()
            .current_dir(root)
            .no_deps()
            .exec()
            .context("ask cargo for the workspace's crates")?;
        let mut crates: Vec<Crate> = metadata
            .workspace_packages()
            .into_iter()
            .map(reduce)
            .collect();
        crates.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            root: root.to_owned(),
            crates,
        })
    }
}

fn reduce(package: &Package) -> Crate {
    let named = |dev: bool| {
        package
            .dependencies
            .iter()
            .filter(|dependency| (dependency.kind == DependencyKind::Development) == dev)
            .map(|dependency| dependency.name.clone())
            .collect()
    };
    Crate {
        name: package.name.to_string(),
        folder: package
            .manifest_path
            .parent()
            .map(|folder| folder.as_std_path().to_owned())
            .unwrap_or_default(),
        dependencies: named(false),
        dev_dependencies: named(true),
        roots: package
            .targets
            .iter()
            .map(|target| target.src_path.as_std_path().to_owned())
            .collect(),
    }
}

//! Where things are: the work tree, and the folder that outlives it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The root of the work tree: the nearest folder upwards from the current one that holds `Cargo.toml` and `xtask/`.
pub fn root() -> Result<PathBuf> {
    let start = env::current_dir().context("read the current folder")?;
    for folder in start.ancestors() {
        if folder.join("xtask/Cargo.toml").is_file() && folder.join("Cargo.toml").is_file() {
            return Ok(folder.to_owned());
        }
    }
    bail!("{} is not inside the project's work tree", start.display())
}

/// What is kept between work trees: built programs, images, logs. `GLOONET_HOME`, by default `~/.cache/gloonet`.
pub fn cache() -> Result<PathBuf> {
    if let Some(set) = env::var_os("GLOONET_HOME") {
        return Ok(PathBuf::from(set));
    }
    let home = env::var_os("HOME").context("neither GLOONET_HOME nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/gloonet"))
}

/// The folder of one kind of kept thing, made where missing.
pub fn cache_folder(kind: &str) -> Result<PathBuf> {
    let folder = cache()?.join(kind);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// Cargo's target folder of this work tree.
pub fn target() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(set) => Ok(PathBuf::from(set)),
        None => Ok(root()?.join("target")),
    }
}

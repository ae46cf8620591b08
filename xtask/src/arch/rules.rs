//! `xtask/arch.toml` as data.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The whole table.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub crates: BTreeMap<String, Allowed>,
    /// External crate → ours that may name it.
    #[serde(default)]
    pub external: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub pure: Pure,
    pub shape: Shape,
}

/// What one crate may do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    #[serde(default)]
    pub uses: Vec<String>,
    #[serde(default)]
    pub dev_uses: Vec<String>,
    #[serde(default)]
    pub pure: bool,
    #[serde(default)]
    pub may_unsafe: bool,
}

/// What pure crates do not name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pure {
    pub forbidden: Vec<String>,
}

/// Sizes and names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    pub file_lines_hard: usize,
    pub file_lines_soft: usize,
    pub main_lines: usize,
    pub forbidden_modules: Vec<String>,
    pub forbidden_words: Vec<String>,
}

impl Rules {
    /// Reads and parses the table.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("parse {}", path.display()))
    }
}

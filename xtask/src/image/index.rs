//! `images/index.json`: what the lab finds there, and what decides whether an image is written again.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One image in the folder.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Row {
    pub name: String,
    /// Upstream reference with its tag.
    pub reference: String,
    /// The names inside the archive, which an import creates.
    pub names: Vec<String>,
    /// File name beside the index.
    pub file: String,
    /// Digest of the image manifest.
    pub digest: String,
    /// Digest of the image's configuration, by which a container runtime identifies it.
    pub config: String,
    /// Fingerprint of everything the archive was made from.
    pub inputs: String,
}

/// All images, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    rows: Vec<Row>,
}

impl Index {
    /// Reads the index; a folder without one has no images.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("index.json");
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        // An index of another version of this program describes archives to be written again.
        Ok(Self {
            rows: serde_json::from_slice(&text).unwrap_or_default(),
        })
    }

    /// Every image.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether the archive of `name` exists and was made from these inputs.
    pub fn is_current(&self, name: &str, inputs: &str, folder: &Path) -> bool {
        self.rows
            .iter()
            .any(|row| row.name == name && row.inputs == inputs && folder.join(&row.file).is_file())
    }

    /// Adds or replaces a row.
    pub fn put(&mut self, row: Row) {
        self.rows.retain(|old| old.name != row.name);
        self.rows.push(row);
        self.rows.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Writes the index by one rename.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let draft = folder.join(".index.json");
        let text = serde_json::to_string_pretty(&self.rows).context("write the image index")?;
        fs::write(&draft, text + "\n").with_context(|| format!("write {}", draft.display()))?;
        fs::rename(&draft, folder.join("index.json")).context("put the image index in place")
    }
}

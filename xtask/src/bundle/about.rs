//! What people read about the operator: `about.toml`, beside this file.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

const TEXT: &str = include_str!("about.toml");
/// The operator's picture in a catalogue.
pub(super) const ICON: &[u8] = include_bytes!("icon.svg");

/// The parsed `about.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    pub(super) display_name: String,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) capabilities: String,
    pub(super) categories: Vec<String>,
    /// Of this release, RFC 3339; the bundle never asks the clock.
    pub(super) created: String,
    pub(super) keywords: Vec<String>,
    pub(super) maturity: String,
    pub(super) channel: String,
    pub(super) min_kube_version: String,
    pub(super) provider: String,
    pub(super) features: BTreeMap<String, bool>,
    #[serde(rename = "maintainer")]
    pub(super) maintainers: Vec<Maintainer>,
    #[serde(rename = "link")]
    pub(super) links: Vec<Link>,
}

#[derive(Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Maintainer {
    name: String,
    email: String,
}

#[derive(Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    name: String,
    pub(super) url: String,
}

impl About {
    /// The text that was built in.
    pub(super) fn embedded() -> Result<Self> {
        toml::from_str(TEXT).context("read xtask/src/bundle/about.toml")
    }
}

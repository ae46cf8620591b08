//! `xtask deny`: holds the dependencies to `deny.toml` without cargo-deny, which a bare machine lacks.
//!
//! Licences, bans with wrappers, and sources are read from the same file and mean the same. Advisories need a database
//! from the network and stay with `cargo deny check advisories`.

pub mod licence;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use serde::Deserialize;

use crate::home;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Arguments of `xtask deny`.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licences,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    /// Crates that may depend on it directly; none means that nobody may.
    #[serde(default)]
    wrappers: BTreeSet<String>,
}

/// What the rules ask of one package.
#[derive(Clone, Debug, Default)]
struct Facts {
    name: String,
    version: String,
    licence: String,
    ours: bool,
    source: String,
    /// Direct dependencies that end up in a build.
    uses: BTreeSet<String>,
}

/// Checks every package cargo would build and prints what is not allowed.
pub fn run(_arguments: &Arguments) -> Result<()> {
    let root = home::root()?;
    let rules = read(&root.join("deny.toml"))?;
    let metadata = MetadataCommand::new()
        .current_dir(&root)
        .exec()
        .context("ask cargo for every package")?;
    let packages = facts(&metadata);
    let findings = check(&packages, &rules);
    if !findings.is_empty() {
        bail!("not allowed by deny.toml:\n  {}", findings.join("\n  "));
    }
    println!("deny: {} packages are as deny.toml says", packages.len());
    Ok(())
}

fn read(path: &Path) -> Result<Rules> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("parse {}", path.display()))
}

fn facts(metadata: &Metadata) -> Vec<Facts> {
    let ours: BTreeSet<_> = metadata.workspace_members.iter().collect();
    let one = |package: &Package| Facts {
        name: package.name.to_string(),
        version: package.version.to_string(),
        licence: package.license.clone().unwrap_or_default(),
        ours: ours.contains(&package.id),
        source: package
            .source
            .as_ref()
            .map(|source| source.repr.clone())
            .unwrap_or_default(),
        uses: package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development)
            .map(|dependency| dependency.name.clone())
            .collect(),
    };
    metadata.packages.iter().map(one).collect()
}

fn check(packages: &[Facts], rules: &Rules) -> Vec<String> {
    let present: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut findings = Vec::new();
    for package in packages {
        let name = format!("{} {}", package.name, package.version);
        if !package.ours && package.source != REGISTRY {
            findings.push(format!(
                "{name} comes from {:?}, not from crates.io",
                package.source
            ));
        }
        if !licence::allowed(&package.licence, &rules.licenses.allow) {
            findings.push(format!("{name} is licensed {:?}", package.licence));
        }
    }
    for ban in rules
        .bans
        .deny
        .iter()
        .filter(|ban| present.contains(ban.name.as_str()))
    {
        if ban.wrappers.is_empty() {
            findings.push(format!("{} is banned", ban.name));
            continue;
        }
        let users = packages
            .iter()
            .filter(|package| package.uses.contains(&ban.name));
        for user in users.filter(|user| !ban.wrappers.contains(&user.name)) {
            findings.push(format!("{} may not depend on {}", user.name, ban.name));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "[licenses]\nallow = ['MIT']\n[bans]\n\
                         deny = [{ crate = 'openssl' }, { crate = 'aya', wrappers = ['datapath'] }]\n";

    fn package(name: &str, uses: &[&str]) -> Facts {
        Facts {
            name: name.into(),
            version: "1.0.0".into(),
            licence: "MIT".into(),
            ours: false,
            source: REGISTRY.into(),
            uses: uses.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn found(packages: &[Facts]) -> Vec<String> {
        check(packages, &toml::from_str(RULES).unwrap())
    }

    #[test]
    fn what_the_file_allows_passes() {
        assert_eq!(
            found(&[
                package("serde", &[]),
                package("aya", &[]),
                package("datapath", &["aya"])
            ]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_foreign_licence_and_a_foreign_source_are_named() {
        let licence = Facts {
            licence: "GPL-3.0-only".into(),
            ..package("a", &[])
        };
        let source = Facts {
            source: "git+https://example.org/b".into(),
            ..package("b", &[])
        };
        assert_eq!(
            found(&[licence, source]),
            [
                "a 1.0.0 is licensed \"GPL-3.0-only\"",
                "b 1.0.0 comes from \"git+https://example.org/b\", not from crates.io"
            ]
        );
    }

    #[test]
    fn a_banned_crate_and_a_crate_around_its_wrapper_are_named() {
        let packages = [
            package("openssl", &[]),
            package("aya", &[]),
            package("agent", &["aya"]),
        ];
        assert_eq!(
            found(&packages),
            ["openssl is banned", "agent may not depend on aya"]
        );
    }

    #[test]
    fn the_projects_own_file_can_be_read() {
        let rules = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml")).unwrap();
        assert!(rules.licenses.allow.contains("Apache-2.0"));
        assert!(
            rules
                .bans
                .deny
                .iter()
                .any(|ban| ban.name == "aya" && !ban.wrappers.is_empty())
        );
    }
}

//! `xtask arch`: holds the workspace to `xtask/arch.toml`.
//!
//! Every rule is a function from the workspace to findings, so that each can be shown broken in a test.

pub mod edges;
pub mod orphans;
pub mod rules;
pub mod shape;
pub mod source;
pub mod words;
pub mod workspace;

use std::fmt;

use anyhow::{Result, bail};

use crate::home;
use rules::Rules;
use workspace::Workspace;

/// Arguments of `xtask arch`.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// One thing that is not as the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: a crate or a file, with a line if there is one.
    pub place: String,
    /// What is wrong, and what to do.
    pub text: String,
    /// A warning does not fail the check.
    pub warning: bool,
}

impl Finding {
    fn error(place: impl fmt::Display, text: impl Into<String>) -> Self {
        Self {
            place: place.to_string(),
            text: text.into(),
            warning: false,
        }
    }

    fn warning(place: impl fmt::Display, text: impl Into<String>) -> Self {
        Self {
            warning: true,
            ..Self::error(place, text)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning" } else { "error" };
        write!(f, "{kind}: {}: {}", self.place, self.text)
    }
}

/// Checks every rule and prints what was found.
pub fn run(_arguments: &Arguments) -> Result<()> {
    let root = home::root()?;
    let rules = Rules::read(&root.join("xtask/arch.toml"))?;
    let workspace = Workspace::read(&root)?;
    let findings = check(&workspace, &rules)?;
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| !finding.warning).count();
    if errors > 0 {
        bail!("{errors} places differ from xtask/arch.toml");
    }
    println!(
        "architecture: {} crates are as xtask/arch.toml says",
        workspace.crates.len()
    );
    Ok(())
}

fn check(workspace: &Workspace, rules: &Rules) -> Result<Vec<Finding>> {
    let mut findings = edges::check(workspace, rules);
    for package in &workspace.crates {
        let files = source::read_all(package, &workspace.root)?;
        findings.extend(words::check(package, &files, rules));
        findings.extend(shape::check(package, &files, rules));
        findings.extend(orphans::check(package, &files));
    }
    Ok(findings)
}

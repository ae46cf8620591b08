//! Which specs a run consists of, by full name: asked of the suite itself, so that a stale name is an error and not a gap.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::report;
use super::suite::Suite;
use crate::{home, process};

/// The specs to run and those left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Full names, in order.
    pub specs: BTreeSet<String>,
    /// Full name and reason.
    pub left_out: Vec<(String, &'static str)>,
}

impl Plan {
    /// The specs of the suite; with `focus`, those of them that match it as well.
    pub fn of_suite(suite: &Suite, focus: Option<&str>) -> Result<Self> {
        let mut found = names(suite.focus)?;
        if found.is_empty() {
            bail!("the suite has no spec that matches {}", suite.focus);
        }
        if let Some(focus) = focus {
            let narrowed = names(focus)?;
            found.retain(|name| narrowed.contains(name));
            if found.is_empty() {
                bail!(
                    "no spec of {} matches {focus}; --list prints their names",
                    suite.name
                );
            }
        }
        Ok(Self::of_names(suite, found))
    }

    /// The listed specs, each of which the suite must have.
    pub fn of_list(suite: &Suite, listed: &BTreeSet<String>) -> Result<Self> {
        let known = names(suite.focus)?;
        let stale: Vec<&str> = listed.difference(&known).map(String::as_str).collect();
        if !stale.is_empty() {
            bail!(
                "{} has no spec called\n  {}\n(./dev conformance {} --list prints the names)",
                suite.name,
                stale.join("\n  "),
                suite.name
            );
        }
        Ok(Self::of_names(suite, listed.clone()))
    }

    fn of_names(suite: &Suite, names: BTreeSet<String>) -> Self {
        let mut plan = Self::default();
        for name in names {
            match suite.reason_against(&name) {
                Some(reason) => plan.left_out.push((name, reason)),
                None => drop(plan.specs.insert(name)),
            }
        }
        plan
    }

    /// A regular expression that matches the plan's specs and no other: the runner puts the suite's description before a
    /// name, so only the end can be held.
    pub fn focus(&self) -> String {
        let names: Vec<String> = self.specs.iter().map(|name| escaped(name)).collect();
        format!("(?:{})$", names.join("|"))
    }

    /// The names, one a line, in the form of a list file.
    pub fn print(&self) {
        for spec in &self.specs {
            println!("{spec}");
        }
        for (spec, reason) in &self.left_out {
            println!("# left out, {reason}: {spec}");
        }
    }
}

/// Full names of every spec that matches.
fn names(focus: &str) -> Result<BTreeSet<String>> {
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    process::output(&mut dry_run(focus, folder.path())?)
        .with_context(|| format!("ask the suite for the specs that match {focus}"))?;
    report::would_run(&folder.path().join(report::FILE))
}

/// Nothing is contacted, yet the suite wants to know of a cluster.
fn dry_run(focus: &str, folder: &Path) -> Result<Command> {
    let mut command = Command::new(home::cache_folder("bin")?.join("e2e.test"));
    command.current_dir(folder).args([
        "--ginkgo.dry-run",
        "--ginkgo.no-color",
        &format!("--ginkgo.focus={focus}"),
        &format!(
            "--ginkgo.json-report={}",
            folder.join(report::FILE).display()
        ),
        "--provider=skeleton",
        "--kubeconfig=/nonexistent",
    ]);
    Ok(command)
}

fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 16);
    for letter in name.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::suite::Name;
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn what_the_machine_cannot_run_is_left_out_with_its_reason() {
        let suite = Name::Netpol.suite().unwrap();
        let plan = Plan::of_names(
            suite,
            set(&["Netpol a", "Netpol b [Feature:SCTPConnectivity]"]),
        );
        assert_eq!(plan.specs, set(&["Netpol a"]));
        assert_eq!(plan.left_out[0].0, "Netpol b [Feature:SCTPConnectivity]");
        assert!(plan.left_out[0].1.contains("SCTP"));
    }

    #[test]
    fn the_focus_takes_names_literally_and_to_their_end() {
        let plan = Plan {
            specs: set(&["[sig] a (b) 10.0.0.0/8", "[sig] c"]),
            left_out: vec![],
        };
        assert_eq!(
            plan.focus(),
            r"(?:\[sig\] a \(b\) 10\.0\.0\.0/8|\[sig\] c)$"
        );
    }
}

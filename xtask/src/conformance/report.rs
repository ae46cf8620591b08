//! The runner's report in JSON, and what of it a person is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::plan::Plan;
use crate::progress::human;

/// File name of the runner's report.
pub const FILE: &str = "report.json";

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Report {
    /// How many specs passed.
    pub passed: usize,
    /// Full name, and the first line of what was wrong.
    pub failed: Vec<(String, String)>,
    /// Full name, and why it does not apply, in upstream's words.
    pub skipped: Vec<(String, String)>,
    /// In the plan, and never begun.
    pub unreached: BTreeSet<String>,
    /// What went wrong outside of any spec.
    pub around: Vec<String>,
    /// Where the reports are.
    pub(super) folder: PathBuf,
    pub(super) took: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    spec_reports: Option<Vec<Spec>>,
    special_suite_failure_reasons: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    container_hierarchy_texts: Option<Vec<String>>,
    leaf_node_type: String,
    leaf_node_text: String,
    state: String,
    failure: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    #[serde(default)]
    message: String,
}

impl Spec {
    fn name(&self) -> String {
        let containers = self.container_hierarchy_texts.iter().flatten();
        let texts: Vec<&str> = containers
            .chain([&self.leaf_node_text])
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .collect();
        texts.join(" ")
    }

    /// The first line that says something.
    fn complaint(&self) -> String {
        let message = self.failure.as_ref().map(|failure| failure.message.trim());
        let line = message.and_then(|text| text.lines().next());
        line.unwrap_or_default().to_owned()
    }

    fn is_spec(&self) -> bool {
        self.leaf_node_type == "It"
    }
}

fn read(path: &Path) -> Result<Vec<Written>> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    serde_json::from_reader(BufReader::new(file))
        .with_context(|| format!("parse {}", path.display()))
}

/// Full names of the specs a dry run would have run.
pub fn would_run(path: &Path) -> Result<BTreeSet<String>> {
    let specs = read(path)?
        .into_iter()
        .flat_map(|suite| suite.spec_reports.unwrap_or_default());
    Ok(specs
        .filter(|spec| spec.is_spec() && spec.state == "passed")
        .map(|spec| spec.name())
        .collect())
}

impl Report {
    /// Reads what the runner wrote in `folder`.
    pub fn read(folder: &Path, plan: &Plan, took: Duration) -> Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            took,
            ..Self::of(read(&folder.join(FILE))?, plan)
        })
    }

    fn of(suites: Vec<Written>, plan: &Plan) -> Self {
        let mut report = Self {
            unreached: plan.specs.clone(),
            ..Self::default()
        };
        for suite in suites {
            report
                .around
                .extend(suite.special_suite_failure_reasons.unwrap_or_default());
            for spec in suite.spec_reports.unwrap_or_default() {
                report.add(&spec, plan);
            }
        }
        report
    }

    fn add(&mut self, spec: &Spec, plan: &Plan) {
        let name = spec.name();
        let why = spec.complaint();
        if !spec.is_spec() {
            if !["passed", "skipped"].contains(&spec.state.as_str()) {
                self.around.push(format!("{}: {why}", spec.leaf_node_type));
            }
            return;
        }
        // The runner reports every spec it knows; those outside the plan it calls skipped, without a word why.
        if !plan.specs.contains(&name) || (spec.state == "skipped" && why.is_empty()) {
            return;
        }
        self.unreached.remove(&name);
        match spec.state.as_str() {
            "passed" => self.passed += 1,
            "skipped" | "pending" => self.skipped.push((name, why)),
            _ => self.failed.push((name, why)),
        }
    }

    /// Why the run is no success, if it is none. A run in which nothing passed proves nothing.
    pub fn complaint(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.failed.is_empty() {
            parts.push(format!("{} specs failed", self.failed.len()));
        }
        if !self.unreached.is_empty() {
            parts.push(format!("{} were not reached", self.unreached.len()));
        }
        parts.extend(self.around.iter().cloned());
        if parts.is_empty() && self.passed == 0 {
            parts.push("no spec ran".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// What failed and why, what was skipped and why, and the numbers.
    pub fn table(&self, plan: &Plan) -> String {
        let mut lines = Vec::new();
        for (name, why) in &self.failed {
            lines.push(format!("✗ {name}\n    {why}"));
        }
        for (name, why) in &self.skipped {
            lines.push(format!("- {name}\n    {why}"));
        }
        for name in &self.unreached {
            lines.push(format!("? {name}\n    not reached"));
        }
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, reason) in &plan.left_out {
            *reasons.entry(reason).or_default() += 1;
        }
        lines.push(format!(
            "{:<12} {:>4}",
            "run",
            self.passed + self.failed.len()
        ));
        lines.push(format!("{:<12} {:>4}", "passed", self.passed));
        lines.push(format!("{:<12} {:>4}", "failed", self.failed.len()));
        lines.push(format!("{:<12} {:>4}", "skipped", self.skipped.len()));
        lines.push(format!("{:<12} {:>4}", "not reached", self.unreached.len()));
        for (reason, count) in reasons {
            lines.push(format!("{:<12} {count:>4}  {reason}", "left out"));
        }
        lines.push(format!("{:<12} {}", "took", human(self.took)));
        lines.push(format!("{:<12} {}", "reports", self.folder.display()));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests;

//! The specs the gate runs: a list file, so that what is enforced is a line in a commit.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::plan::Plan;
use super::suite::Name;
use super::{Pace, build, run_plan, verdict};
use crate::gate::tally::Tally;
use crate::home;
use crate::lab::Lab;

/// Each suite's list.
const LISTS: [(Name, &str); 2] = [
    (Name::Netpol, "testing/conformance/netpol-subset.txt"),
    (Name::Services, "testing/conformance/services-subset.txt"),
];

/// The machine's processors are two; more at once only wait for each other.
const PACE: Pace = Pace {
    parallel: 2,
    limit: Duration::from_mins(15),
};

/// Runs the listed specs on a cluster that is up, and counts them. An empty list runs nothing and says so.
pub fn run(lab: &Lab, tally: &mut Tally) -> Result<()> {
    // A suite that failed is no reason not to know about the next.
    let outcomes = LISTS.map(|(name, file)| run_list(lab, name, file, tally));
    outcomes.into_iter().collect()
}

fn run_list(lab: &Lab, name: Name, file: &str, tally: &mut Tally) -> Result<()> {
    let listed = read(&home::root()?.join(file))?;
    if listed.is_empty() {
        eprintln!("… no spec in {file}: upstream's suite is not run");
        return Ok(());
    }
    let suite = name.suite().context("a suite of specs")?;
    build()?;
    let plan = Plan::of_list(suite, &listed)?;
    let report = run_plan(lab, suite, &plan, PACE)?;
    tally.passed += report.passed as u64;
    tally.failed += report.failed.len() as u64;
    tally.ignored += (report.skipped.len() + report.unreached.len()) as u64;
    verdict(suite.name, &plan, &report)
}

/// One full name a line; `#` begins a comment line.
fn read(path: &Path) -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(parse(&text))
}

fn parse(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_name_no_spec() {
        let listed = parse("# why\n\n[sig-network] Netpol a\n  [sig-network] Netpol b\n");
        assert_eq!(
            listed.iter().map(String::as_str).collect::<Vec<_>>(),
            ["[sig-network] Netpol a", "[sig-network] Netpol b"]
        );
    }

    #[test]
    fn every_line_of_the_project_s_lists_is_a_full_name() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for (_, file) in LISTS {
            let listed = read(&root.join(file)).unwrap();
            assert!(!listed.is_empty(), "{file}");
            for spec in listed {
                assert!(spec.starts_with("[sig-network] "), "{spec}");
            }
        }
    }
}

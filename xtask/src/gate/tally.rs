//! Counting tests over several runs of cargo.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::progress::Step;
use crate::{home, process};

/// What test runners said, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
}

impl Tally {
    /// Adds every `test result:` line of a log.
    pub fn add(&mut self, log: &str) {
        for line in log
            .lines()
            .filter_map(|line| line.trim().strip_prefix("test result: "))
        {
            let number = |what: &str| {
                line.split([';', '.'])
                    .find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<u64>().ok())
            };
            self.passed += number("passed").unwrap_or_default();
            self.failed += number("failed").unwrap_or_default();
            self.ignored += number("ignored").unwrap_or_default();
        }
    }

    /// Adds what was found beside.
    pub fn append(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// One line in the form of cargo's test runner.
    pub fn line(&self, gates_passed: bool, took: Duration) -> String {
        let word = if gates_passed && self.failed == 0 {
            "ok"
        } else {
            "FAILED"
        };
        format!(
            "test result: {word}. {} passed; {} failed; {} ignored; 0 measured; 0 filtered out; finished in {:.2}s",
            self.passed,
            self.failed,
            self.ignored,
            took.as_secs_f64()
        )
    }
}

/// Runs cargo's tests with their output in a log, and counts them, also when some fail.
pub fn counted(
    name: &str,
    what: &str,
    usual: u64,
    command: &mut Command,
    tally: &mut Tally,
) -> Result<()> {
    let mut step = Step::start(name, what, Duration::from_secs(usual));
    let result = process::run_logged(command, &format!("gate-{name}"), &mut step);
    let path = home::cache_folder("logs")?.join(format!("gate-{name}.log"));
    let log = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    tally.add(&log);
    // The end of the log shows the last crate only; what failed may be far above it.
    let failed: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("test ") && line.ends_with("FAILED"))
        .collect();
    let result = result.map(drop);
    if !failed.is_empty() {
        return result.with_context(|| {
            format!(
                "failed tests (all output in {}):\n  {}",
                path.display(),
                failed.join("\n  ")
            )
        });
    }
    result?;
    step.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_runs_are_added() {
        let mut tally = Tally::default();
        tally.add(
            "test a ... ok\ntest result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.26s\n\
             test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!(
            tally,
            Tally {
                passed: 15,
                failed: 2,
                ignored: 1
            }
        );
    }

    #[test]
    fn the_last_line_says_failed_when_a_gate_without_tests_failed() {
        let tally = Tally {
            passed: 3,
            ..Tally::default()
        };
        assert!(
            tally
                .line(true, Duration::from_secs(2))
                .starts_with("test result: ok. 3 passed; 0 failed; 0 ignored;")
        );
        assert!(
            tally
                .line(false, Duration::from_secs(2))
                .starts_with("test result: FAILED. 3 passed;")
        );
    }
}

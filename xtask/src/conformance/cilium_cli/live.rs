//! Reading along what `cilium connectivity test` prints, line by line. There is nothing else to read: its report in JUnit's format
//! does not say why a test was skipped.
//!
//! Format of cilium-cli 0.19: a test is named when it begins, `[=] [NAMESPACE] Test [NAME] [1/90]`, and has ended when the next one
//! begins or the summary does. A line with one of two marks is a failure of the test that runs. Dots of progress may stand before
//! anything. The summary is written past what tests print, so it has the last word on which failed.

use std::collections::BTreeSet;
use std::time::Instant;

use super::super::live::{Ended, Outcome, Reading};

/// Marks of a failure, and of one that ends a test.
const MARKS: [char; 2] = ['❌', '🟥'];

/// The reader.
#[derive(Debug, Default)]
pub struct Reader {
    current: Option<Current>,
    total: usize,
    /// The summary has begun.
    summing_up: bool,
    found: Found,
}

/// The test that runs.
#[derive(Debug)]
struct Current {
    name: String,
    since: Instant,
    /// What went wrong first.
    failure: Option<String>,
}

/// What became of the tests.
#[derive(Debug, Default)]
pub struct Found {
    /// Names.
    pub passed: Vec<String>,
    /// Name, and what went wrong first.
    pub failed: Vec<(String, String)>,
    /// Name, and why it does not apply, in cilium-cli's words.
    pub skipped: Vec<(String, String)>,
}

impl Found {
    /// As the summary says; what went wrong may already be known.
    fn has_failed(&mut self, name: &str) {
        if let Some(at) = self.passed.iter().position(|passed| passed == name) {
            let name = self.passed.remove(at);
            self.failed.push((name, "see the log".to_owned()));
        }
    }

    /// Of all tests.
    pub fn names(&self) -> BTreeSet<String> {
        let others = self.failed.iter().chain(&self.skipped);
        let others = others.map(|(name, _)| name.clone());
        self.passed.iter().cloned().chain(others).collect()
    }
}

/// A line that names a test.
#[derive(Debug, PartialEq, Eq)]
enum Heading<'a> {
    Begins(&'a str),
    Skipped(&'a str, &'a str),
}

impl Reader {
    /// What was read, when there is nothing more. A test that was running then did not come to its end.
    pub fn end(mut self) -> Found {
        if let Some(current) = &mut self.current {
            let cut_off = || "cut off".to_owned();
            current.failure.get_or_insert_with(cut_off);
        }
        let _last = self.settle();
        self.found
    }

    /// The test that ran has ended.
    fn settle(&mut self) -> Option<Ended> {
        let current = self.current.take()?;
        let outcome = match current.failure {
            None => {
                self.found.passed.push(current.name.clone());
                Outcome::Passed
            }
            Some(failure) => {
                self.found.failed.push((current.name.clone(), failure));
                Outcome::Failed
            }
        };
        Some(Ended {
            name: current.name,
            outcome,
            seconds: current.since.elapsed().as_secs().to_string(),
        })
    }
}

impl Reading for Reader {
    fn line(&mut self, line: &str) -> Option<Ended> {
        let line = line.trim().trim_start_matches('.').trim_start();
        if let Some((heading, total)) = heading(line) {
            self.total = total;
            self.summing_up = false;
            let ended = self.settle();
            match heading {
                Heading::Begins(name) => {
                    self.current = Some(Current {
                        name: name.to_owned(),
                        since: Instant::now(),
                        failure: None,
                    });
                }
                // Many come at once, and say nothing of the platform: they are in the table.
                Heading::Skipped(name, reason) => {
                    self.found
                        .skipped
                        .push((name.to_owned(), reason.to_owned()));
                }
            }
            return ended;
        }
        if is_summary(line) {
            self.summing_up = true;
            return self.settle();
        }
        if self.summing_up
            && let Some(name) = summed_up(line)
        {
            self.found.has_failed(name);
        }
        if let Some(current) = &mut self.current
            && current.failure.is_none()
            && line.starts_with(MARKS)
        {
            current.failure = Some(line.trim_start_matches(MARKS).trim().to_owned());
        }
        None
    }

    fn total(&self) -> usize {
        self.total
    }
}

fn heading(line: &str) -> Option<(Heading<'_>, usize)> {
    let rest = line.strip_prefix("[=] [")?.split_once("] ")?.1;
    let skipped = rest.strip_prefix("Skipping test [");
    let rest = skipped.or_else(|| rest.strip_prefix("Test ["))?;
    let (name, rest) = rest.split_once("] [")?;
    let (position, rest) = rest.split_once(']')?;
    let total = position.split_once('/')?.1.parse().ok()?;
    if skipped.is_none() {
        return Some((Heading::Begins(name), total));
    }
    let reason = rest.trim().trim_start_matches('(').trim_end_matches(')');
    Some((Heading::Skipped(name, reason), total))
}

/// `Test [NAME]:`, of a test that failed.
fn summed_up(line: &str) -> Option<&str> {
    line.strip_prefix("Test [")?.strip_suffix("]:")
}

fn is_summary(line: &str) -> bool {
    line.starts_with("📋 Test Report") || line.starts_with("✅ [")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> (Vec<(String, Outcome)>, Found) {
        let mut reader = Reader::default();
        let ended = lines.iter().filter_map(|line| reader.line(line));
        let ended = ended.map(|ended| (ended.name, ended.outcome)).collect();
        (ended, reader.end())
    }

    #[test]
    fn a_test_has_ended_when_the_next_one_begins_and_the_last_one_with_the_summary() {
        let (ended, found) = read(&[
            "ℹ️  Cilium version: 1.20.2",
            "🏃[cilium-test-1] Running 90 tests ...",
            "[=] [cilium-test-1] Test [no-policies] [1/90]",
            "........",
            "[=] [cilium-test-1] Skipping test [health] [2/90] (Feature health-checking is disabled)",
            "[=] [cilium-test-1] Test [client-ingress] [3/90]",
            "..",
            "",
            "✅ [cilium-test-1] All 2 tests (60 actions) successful, 1 tests skipped, 0 scenarios skipped.",
        ]);
        assert_eq!(
            ended,
            [
                ("no-policies".to_owned(), Outcome::Passed),
                ("client-ingress".to_owned(), Outcome::Passed)
            ]
        );
        assert_eq!(found.passed, ["no-policies", "client-ingress"]);
        assert_eq!(
            found.skipped,
            [(
                "health".to_owned(),
                "Feature health-checking is disabled".to_owned()
            )]
        );
        assert!(found.failed.is_empty());
    }

    #[test]
    fn a_test_has_failed_that_printed_a_mark_and_the_first_one_says_why() {
        let (ended, found) = read(&[
            "[=] [cilium-test-1] Test [echo-ingress] [1/3]",
            ".",
            "  ℹ️  📜 Applying CiliumNetworkPolicy 'x' to namespace 'cilium-test-1' on cluster lab..",
            "  [-] Scenario [echo-ingress/pod-to-pod]",
            "  ❌ command \"curl\" failed: exit code 28",
            "  ❌ and so on",
            "..[=] [cilium-test-1] Test [check-log-errors] [2/3]",
            ".  🟥 Error reading Cilium logs: gone",
            "📋 Test Report [cilium-test-1]",
            "❌ 2/3 tests failed (2/9 actions), 0 tests skipped, 0 scenarios skipped:",
            "Test [echo-ingress]:",
            "  🟥 echo-ingress/pod-to-pod/curl-ipv4-0: x",
            "[cilium-test-1] 2 tests failed",
        ]);
        let outcomes: Vec<Outcome> = ended.iter().map(|(_, outcome)| *outcome).collect();
        assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed]);
        assert_eq!(
            found.failed,
            [
                (
                    "echo-ingress".to_owned(),
                    "command \"curl\" failed: exit code 28".to_owned()
                ),
                (
                    "check-log-errors".to_owned(),
                    "Error reading Cilium logs: gone".to_owned()
                )
            ]
        );
    }

    #[test]
    fn the_summary_has_the_last_word_on_what_failed() {
        let (ended, found) = read(&[
            "[=] [cilium-test-1] Test [no-policies] [1/2]",
            "[=] [cilium-test-1] Test [check-log-errors] [2/2]",
            "📋 Test Report [cilium-test-1]",
            "❌ 1/2 tests failed (1/9 actions), 0 tests skipped, 0 scenarios skipped:",
            "Test [check-log-errors]:",
            "  ❌ Found 1 logs in default/kube-system/cilium-x (cilium-agent)",
        ]);
        assert_eq!(ended.len(), 2);
        assert_eq!(found.passed, ["no-policies"]);
        assert_eq!(found.failed[0].0, "check-log-errors");
    }

    #[test]
    fn a_test_that_was_running_at_the_end_has_not_passed() {
        let (_, found) = read(&["[=] [cilium-test-1] Test [no-policies] [1/90]", "...."]);
        assert_eq!(
            found.failed,
            [("no-policies".to_owned(), "cut off".to_owned())]
        );
        assert_eq!(found.names().len(), 1);
    }

    #[test]
    fn what_looks_like_a_heading_and_is_none_ends_no_test() {
        assert_eq!(heading("[=] [cilium-test-1] Something [else] [1/2]"), None);
        assert_eq!(heading("[=] [cilium-test-1] Test [x] [one of two]"), None);
        assert_eq!(heading("Test [x] [1/2]"), None);
    }
}

//! Reading along: the runner's output, line by line, into "this spec ended so".
//!
//! Only for the screen. What counts is the report the runner writes at the end. Format: the default reporter of Ginkgo 2.28
//! with `-v`: a spec's name stands after a delimiter when it is run alone, and after its result when it runs beside others.

/// What reads along, whatever program it is that prints.
pub trait Reading {
    /// Takes the next line.
    fn line(&mut self, line: &str) -> Option<Ended>;

    /// How many there are to come, as far as is known.
    fn total(&self) -> usize;
}

/// A spec that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Full name; empty if the output did not say it.
    pub name: String,
    /// How.
    pub outcome: Outcome,
    /// As the runner wrote it, in seconds.
    pub seconds: String,
}

/// How a spec ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It held.
    Passed,
    /// It did not hold, ran out of time, panicked or was interrupted.
    Failed,
    /// It found that it does not apply here.
    Skipped,
}

impl Outcome {
    /// One letter for the screen.
    pub fn mark(self) -> char {
        match self {
            Self::Passed => '✓',
            Self::Failed => '✗',
            Self::Skipped => '-',
        }
    }
}

/// The reader.
#[derive(Debug, Default)]
pub struct Reader {
    after_delimiter: bool,
    /// The spec that runs alone.
    current: Option<String>,
    /// A result whose name is the next line.
    nameless: Option<(Outcome, String)>,
    total: usize,
}

impl Reader {
    /// One that will read of so many specs.
    pub fn of(total: usize) -> Self {
        Self {
            total,
            ..Self::default()
        }
    }
}

impl Reading for Reader {
    fn total(&self) -> usize {
        self.total
    }

    fn line(&mut self, line: &str) -> Option<Ended> {
        let line = line.trim_end();
        if let Some((outcome, seconds)) = self.nameless.take() {
            let name = line.replacen("[It] ", "", 1);
            return Some(Ended {
                name,
                outcome,
                seconds,
            });
        }
        if line.len() >= 30 && line.bytes().all(|byte| byte == b'-') {
            self.after_delimiter = true;
            return None;
        }
        let first = std::mem::take(&mut self.after_delimiter);
        if let Some((outcome, seconds)) = result(line) {
            let Some(name) = self.current.take() else {
                self.nameless = Some((outcome, seconds));
                return None;
            };
            return Some(Ended {
                name,
                outcome,
                seconds,
            });
        }
        if first {
            self.current = line.starts_with('[').then(|| line.to_owned());
        }
        None
    }
}

/// `• [12.345 seconds]`, `• [FAILED] [12.345 seconds]`, `S [SKIPPED] [0.123 seconds]`.
fn result(line: &str) -> Option<(Outcome, String)> {
    let (outcome, rest) = if let Some(rest) = line.strip_prefix("• [FAILED] ") {
        (Outcome::Failed, rest)
    } else if let Some(rest) = line.strip_prefix("S [SKIPPED] ") {
        (Outcome::Skipped, rest)
    } else {
        let rest = line.strip_prefix("• ")?;
        match rest.split_once("] [") {
            // TIMEDOUT, PANICKED, INTERRUPTED, ABORTED.
            Some((_, time)) => return Some((Outcome::Failed, seconds(time)?)),
            None => (Outcome::Passed, rest),
        }
    };
    Some((outcome, seconds(rest)?))
}

fn seconds(text: &str) -> Option<String> {
    let text = text.trim_start_matches('[').strip_suffix(" seconds]")?;
    text.parse::<f64>().ok().map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELIMITER: &str = "------------------------------";

    fn read(lines: &[&str]) -> Vec<(String, Outcome)> {
        let mut reader = Reader::default();
        lines
            .iter()
            .filter_map(|line| reader.line(line))
            .map(|ended| (ended.name, ended.outcome))
            .collect()
    }

    #[test]
    fn specs_run_one_by_one_are_named_before_their_result() {
        let ended = read(&[
            DELIMITER,
            "[SynchronizedBeforeSuite]",
            "  k8s.io/kubernetes/test/e2e/e2e.go:69",
            "[SynchronizedBeforeSuite] PASSED [0.031 seconds]",
            DELIMITER,
            "[sig-network] Netpol a should hold",
            "  k8s.io/kubernetes/test/e2e/network/netpol/network_policy.go:142",
            "  STEP: Creating - 11/25/26 08:00:00.000",
            "• [21.250 seconds]",
            DELIMITER,
            "[sig-network] Netpol b should hold too",
            "• [FAILED] [3.001 seconds]",
            "[sig-network] Netpol b [It] should hold too",
        ]);
        assert_eq!(
            ended,
            [
                (
                    "[sig-network] Netpol a should hold".to_owned(),
                    Outcome::Passed
                ),
                (
                    "[sig-network] Netpol b should hold too".to_owned(),
                    Outcome::Failed
                ),
            ]
        );
    }

    #[test]
    fn specs_run_side_by_side_are_named_after_their_result() {
        let ended = read(&[
            "Running in parallel across 2 processes",
            DELIMITER,
            "• [19.442 seconds]",
            "[sig-network] Netpol a should hold",
            "k8s.io/kubernetes/test/e2e/network/netpol/network_policy.go:142",
            DELIMITER,
            "• [TIMEDOUT] [600.002 seconds]",
            "[sig-network] Netpol b [It] should hold too",
            DELIMITER,
            "S [SKIPPED] [0.204 seconds]",
            "[sig-network] Netpol c [BeforeEach]",
        ]);
        let outcomes: Vec<Outcome> = ended.iter().map(|(_, outcome)| *outcome).collect();
        assert_eq!(
            outcomes,
            [Outcome::Passed, Outcome::Failed, Outcome::Skipped]
        );
        assert_eq!(ended[1].0, "[sig-network] Netpol b should hold too");
    }

    #[test]
    fn what_specs_print_is_no_result() {
        assert_eq!(
            read(&["• a list item", "S", "• [no time]", "  [sig-network] x"]),
            []
        );
    }
}

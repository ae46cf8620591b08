//! A report as texts of bounded length, and back. The sink refuses an entry over 256 KiB; a cluster of a thousand nodes says more.

use serde::{Deserialize, Serialize};

use crate::{Outcome, Report, SCHEMA};

/// Bytes of a part's text at most. Escaped twice on its way it must still be an entry.
pub const LARGEST_PART: usize = 96 * 1024;

/// A piece of a report's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The run it belongs to.
    pub run: String,
    /// From 0.
    pub part: u32,
    /// How many there are.
    pub parts: u32,
    pub text: String,
}

/// Why parts are no report.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error("there is no part")]
    Empty,
    #[error("run {run} has {have} of {parts} parts")]
    Incomplete {
        run: String,
        have: usize,
        parts: u32,
    },
    #[error("run {run} is no report")]
    Parse {
        run: String,
        source: serde_json::Error,
    },
    #[error("run {run} has schema {schema}, and this reads {SCHEMA}")]
    Schema { run: String, schema: u32 },
    #[error("run {run} says {said} and holds the record of another analyzer")]
    Mixed { run: String, said: String },
}

/// The texts a report is sent as.
pub fn parts(report: &Report) -> Result<Vec<Part>, serde_json::Error> {
    let whole = serde_json::to_string(report)?;
    let pieces = cut(&whole, LARGEST_PART);
    let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
    let numbered = (0..count).zip(pieces);
    Ok(numbered
        .map(|(part, text)| Part {
            run: report.run.clone(),
            part,
            parts: count,
            text: text.to_owned(),
        })
        .collect())
}

fn cut(whole: &str, length: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = whole;
    while rest.len() > length {
        let mut end = length;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// The report of the newest run of which every part is there. `found` is in the order it was written.
///
/// Foreign input: what it holds was written by another cluster.
pub fn assemble(found: &[Part]) -> Result<Report, AssembleError> {
    let mut runs: Vec<&str> = Vec::new();
    for part in found.iter().rev() {
        if !runs.contains(&part.run.as_str()) {
            runs.push(&part.run);
        }
    }
    let mut first = AssembleError::Empty;
    for (at, run) in runs.iter().enumerate() {
        match whole(found, run) {
            Ok(report) => return Ok(report),
            // The newest run's fault is the one to tell.
            Err(error) if at == 0 => first = error,
            Err(_) => {}
        }
    }
    Err(first)
}

#[derive(Deserialize)]
struct Head {
    schema: u32,
}

fn whole(found: &[Part], run: &str) -> Result<Report, AssembleError> {
    let mut own: Vec<&Part> = found.iter().filter(|part| part.run == run).collect();
    own.sort_by_key(|part| part.part);
    own.dedup_by_key(|part| part.part);
    let parts = own.first().map_or(0, |part| part.parts);
    let numbered = own.iter().zip(0..).all(|(part, at)| part.part == at);
    let run = || run.to_owned();
    if !numbered || u32::try_from(own.len()) != Ok(parts) || parts == 0 {
        return Err(AssembleError::Incomplete {
            run: run(),
            have: own.len(),
            parts,
        });
    }
    let text: String = own.iter().map(|part| part.text.as_str()).collect();
    let wrong = |source| AssembleError::Parse { run: run(), source };
    // Before the rest: a later schema may not be readable at all.
    let head: Head = serde_json::from_str(&text).map_err(wrong)?;
    if head.schema != SCHEMA {
        return Err(AssembleError::Schema {
            run: run(),
            schema: head.schema,
        });
    }
    let report: Report = serde_json::from_str(&text).map_err(wrong)?;
    match &report.outcome {
        Outcome::Found(record) if record.analyzer() != report.analyzer => {
            Err(AssembleError::Mixed {
                run: run(),
                said: report.analyzer.to_string(),
            })
        }
        _ => Ok(report),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Analyzer, Proxies, Record};

    fn report(run: &str, why: &str) -> Report {
        Report {
            schema: SCHEMA,
            run: run.to_owned(),
            taken: "2026-01-01T00:00:00Z".parse().unwrap(),
            interval: 30,
            version: "0.1.0".to_owned(),
            analyzer: Analyzer::Nodes,
            outcome: Outcome::Failed(why.to_owned()),
        }
    }

    #[test]
    fn a_report_of_several_parts_is_whole_again() {
        let long = report("a", &"é".repeat(LARGEST_PART));
        let sent = parts(&long).unwrap();
        assert!(sent.len() > 1 && sent.iter().all(|part| part.text.len() <= LARGEST_PART));
        assert_eq!(assemble(&sent).unwrap(), long);
    }

    #[test]
    fn while_a_run_is_on_its_way_the_one_before_counts() {
        let before = parts(&report("a", "before")).unwrap();
        let mut now = parts(&report("b", &"x".repeat(2 * LARGEST_PART))).unwrap();
        now.pop();
        let all: Vec<Part> = before.into_iter().chain(now.clone()).collect();
        assert_eq!(assemble(&all).unwrap().run, "a");
        let error = assemble(&now).unwrap_err().to_string();
        assert_eq!(error, "run b has 2 of 3 parts");
    }

    #[test]
    fn as_many_parts_as_there_should_be_with_one_left_out_are_no_run() {
        let mut sent = parts(&report("a", &"x".repeat(LARGEST_PART))).unwrap();
        assert_eq!(sent.len(), 2);
        sent[1].part = 2;
        let error = assemble(&sent).unwrap_err();
        assert!(matches!(error, AssembleError::Incomplete { .. }), "{error}");
    }

    #[test]
    fn the_newest_of_two_whole_runs_counts() {
        let mut all = parts(&report("a", "before")).unwrap();
        all.extend(parts(&report("b", "now")).unwrap());
        assert_eq!(assemble(&all).unwrap().run, "b");
    }

    #[test]
    fn another_schema_and_another_analyzers_record_are_refused_by_name() {
        let mut later = report("a", "");
        later.schema = 2;
        let error = assemble(&parts(&later).unwrap()).unwrap_err().to_string();
        assert_eq!(error, "run a has schema 2, and this reads 1");
        let mut mixed = report("a", "");
        mixed.outcome = Outcome::Found(Record::Proxies(Proxies::default()));
        let error = assemble(&parts(&mixed).unwrap()).unwrap_err();
        assert!(matches!(error, AssembleError::Mixed { .. }), "{error}");
        assert!(matches!(assemble(&[]), Err(AssembleError::Empty)));
    }

    proptest! {
        #[test]
        fn foreign_parts_are_refused_and_nothing_else_happens(
            all in proptest::collection::vec(("[ab]", 0u32..4, 0u32..4, ".{0,40}"), 0..6),
        ) {
            let all: Vec<Part> = all
                .into_iter()
                .map(|(run, part, parts, text)| Part { run, part, parts, text })
                .collect();
            prop_assert!(assemble(&all).is_err());
        }

        #[test]
        fn order_and_repetition_of_parts_do_not_matter(seed in 0usize..6) {
            let whole = report("a", &"x".repeat(2 * LARGEST_PART));
            let mut sent = parts(&whole).unwrap();
            sent.rotate_left(seed % 3);
            sent.push(sent[seed % 3].clone());
            prop_assert_eq!(assemble(&sent).unwrap(), whole);
        }
    }
}

//! What changed between two looks, for people and for programs.

use std::collections::BTreeMap;

use gloo_insights::Insight;
use serde::Serialize;

use super::table;
use crate::format::{self, Format, FormatError};

/// One insight that came, went or changed its state.
#[derive(Debug, Serialize)]
pub(super) struct Change<'a> {
    /// Its state now; `gone` when it is no longer among those that were asked for.
    change: &'static str,
    insight: &'a Insight,
}

/// What is there at the first look.
pub(super) fn first<'a>(now: &[&'a Insight]) -> Vec<Change<'a>> {
    between(&[], now)
}

/// Those that came or changed, then those that went.
pub(super) fn between<'a>(before: &[&'a Insight], now: &[&'a Insight]) -> Vec<Change<'a>> {
    let states = |all: &[&'a Insight]| -> BTreeMap<&'a str, &'static str> {
        all.iter()
            .map(|one| (one.id.as_str(), table::state(one)))
            .collect()
    };
    let (old, new) = (states(before), states(now));
    let came = (now.iter()).filter(|one| old.get(one.id.as_str()) != new.get(one.id.as_str()));
    let went = (before.iter()).filter(|one| !new.contains_key(one.id.as_str()));
    let came = came.map(|insight| Change {
        change: table::state(insight),
        insight,
    });
    let went = went.map(|insight| Change {
        change: "gone",
        insight,
    });
    came.chain(went).collect()
}

/// A line for each; in YAML a document.
pub(super) fn text(changes: &[Change<'_>], output: Format) -> Result<String, FormatError> {
    changes.iter().map(|one| one.text(output)).collect()
}

impl Change<'_> {
    fn text(&self, output: Format) -> Result<String, FormatError> {
        let one = self.insight;
        match output {
            Format::Table => Ok(format!(
                "{:<10} {:<8} {} {} {}: {}\n",
                self.change, one.severity, one.code, one.cluster, one.target, one.summary
            )),
            Format::Json => format::json_line(self),
            Format::Yaml => Ok(format!("---\n{}", format::yaml(self)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::insight;
    use super::*;

    fn both(output: Format) -> String {
        let (one, other) = (
            insight("HLT0101", "ERROR", "west", "active"),
            insight("HLT0102", "ERROR", "west", "active"),
        );
        text(&between(&[&one], &[&other]), output).unwrap()
    }

    #[test]
    fn what_came_and_what_went_is_a_line_each() {
        let printed = both(Format::Table);
        let lines: Vec<&str> = printed.lines().collect();
        assert!(lines[0].starts_with("active") && lines[0].contains("HLT0102"));
        assert!(lines[1].starts_with("gone") && lines[1].contains("HLT0101"));
        let one = insight("HLT0101", "ERROR", "west", "active");
        assert!(between(&[&one], &[&one]).is_empty());
        assert_eq!(first(&[&one]).len(), 1);
    }

    #[test]
    fn programs_get_a_json_object_a_line_or_a_yaml_document_with_all_of_the_insight() {
        let printed = both(Format::Json);
        let read: Vec<serde_json::Value> = printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            (&read[0]["change"], &read[1]["change"]),
            (&"active".into(), &"gone".into())
        );
        assert_eq!(read[1]["insight"]["code"], "HLT0101");
        assert_eq!(read[1]["insight"]["evidence"]["pod"], "cilium-x");
        let documents = both(Format::Yaml);
        assert_eq!(documents.matches("---\nchange: ").count(), 2, "{documents}");
    }

    #[test]
    fn one_that_is_suppressed_between_two_looks_has_changed() {
        let before = insight("HLT0101", "ERROR", "west", "active");
        let mut now = before.clone();
        now.suppressed = Some(
            serde_json::from_value(
                serde_json::json!({"reason": "known", "until": "2026-02-01T00:00:00Z"}),
            )
            .unwrap(),
        );
        assert_eq!(between(&[&before], &[&now]).len(), 1);
    }
}

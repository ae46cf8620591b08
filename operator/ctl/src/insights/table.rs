//! Insights for reading.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use comfy_table::{Table, presets};
use gloo_insights::{Insight, Overview, Severity};
use jiff::Timestamp;

use super::Filter;
use crate::age::age;

pub(super) fn text(
    overview: &Overview,
    chosen: &[&Insight],
    filter: &Filter,
    now: Timestamp,
) -> String {
    let mut text = String::new();
    if !chosen.is_empty() {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header([
            "SEVERITY", "CODE", "CLUSTER", "TARGET", "STATE", "SINCE", "SUMMARY",
        ]);
        for one in chosen {
            table.add_row([
                one.severity.to_string(),
                one.code.to_string(),
                one.cluster.clone(),
                one.target.to_string(),
                state(one).to_owned(),
                age(one.created, now),
                one.summary.clone(),
            ]);
        }
        let lines = table.lines().map(|line| line.trim_end().to_owned());
        text = lines.fold(text, |text, line| text + line.trim_start() + "\n");
        text.push('\n');
    }
    text.push_str(&count(overview, chosen, now));
    for error in &overview.errors {
        let _written = writeln!(text, "without some evidence: {error}");
    }
    text.push_str(&unknown(overview, filter));
    text
}

pub(super) fn state(insight: &Insight) -> &'static str {
    match &insight.suppressed {
        Some(_) => "suppressed",
        None => insight.state.as_str(),
    }
}

fn count(overview: &Overview, chosen: &[&Insight], now: Timestamp) -> String {
    let of = |severity: Severity| chosen.iter().filter(|one| one.severity == severity).count();
    format!(
        "{} errors, {} warnings, {} infos in {} clusters; looked at {} ago. What to do: gloonet insights explain CODE\n",
        of(Severity::Error),
        of(Severity::Warning),
        of(Severity::Info),
        overview.clusters.len(),
        age(overview.ended, now),
    )
}

/// Rules that cannot be judged, by reason; one line each, or all of them.
fn unknown(overview: &Overview, filter: &Filter) -> String {
    let about = |cluster: &String| filter.cluster.as_ref().is_none_or(|name| name == cluster);
    let mut reasons: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for one in overview.unknown.iter().filter(|one| about(&one.cluster)) {
        let codes = reasons.entry((&one.cluster, &one.why)).or_default();
        codes.insert(one.code.to_string());
    }
    if reasons.is_empty() {
        return String::new();
    }
    let count: usize = reasons.values().map(BTreeSet::len).sum();
    if !filter.unknown {
        return format!("{count} rules cannot be judged; --unknown says why\n");
    }
    let lines = reasons.iter().map(|((cluster, why), codes)| {
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        format!("unknown in {cluster}: {why} ({})\n", codes.join(", "))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use gloo_insights::Unjudged;

    use super::super::tests::{insight, overview};
    use super::*;

    #[test]
    fn a_row_says_what_where_and_since_when_and_the_end_what_is_not_known() {
        let mut overview = overview(vec![insight("HLT0101", "ERROR", "west", "active")]);
        overview.unknown.push(Unjudged {
            code: "BP0109".parse().unwrap(),
            cluster: "west".to_owned(),
            why: "analyzer cilium-config has not reported".to_owned(),
        });
        let chosen: Vec<&Insight> = overview.insights.iter().collect();
        let now = "2026-01-01T00:12:00Z".parse().unwrap();
        let printed = text(&overview, &chosen, &Filter::default(), now);
        let words: Vec<&str> = printed.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            words[..6],
            ["ERROR", "HLT0101", "west", "Node/a", "active", "12m0s"]
        );
        assert!(printed.contains("1 errors, 0 warnings"), "{printed}");
        assert!(printed.contains("1 rules cannot be judged; --unknown says why"));
        let filter = Filter {
            unknown: true,
            ..Filter::default()
        };
        let printed = text(&overview, &chosen, &filter, now);
        assert!(printed.contains("has not reported (BP0109)"), "{printed}");
    }
}

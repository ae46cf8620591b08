//! Texts about a rule and about what it found.

use std::fmt::Write;

use handlebars::{Handlebars, no_escape};
use serde_json::json;

use crate::{Evidence, Insight, Rule, Scope};

/// What to do, line by line, and whether the text could be made.
pub type Steps = Result<String, String>;

/// The rule's resolution steps for one insight.
pub fn steps(rule: &Rule, insight: &Insight) -> Steps {
    render(
        rule.steps,
        &json!({
            "cluster": insight.cluster,
            "target": {
                "kind": insight.target.kind,
                "namespace": insight.target.namespace,
                "name": insight.target.name,
            },
            "evidence": insight.evidence,
        }),
    )
}

/// The text is data for a terminal or a page that escapes for itself. What is put in is never read as a template.
fn render(template: &str, values: &serde_json::Value) -> Steps {
    let mut engine = Handlebars::new();
    engine.register_escape_fn(no_escape);
    engine
        .render_template(template, values)
        .map_err(|error| error.to_string())
}

/// The rule's page in `docs/insights/`, in Markdown.
pub fn page(rule: &Rule) -> String {
    let mut text = format!("# {}: {}\n\n", rule.code, rule.title);
    let scope = match rule.scope {
        Scope::Cluster => "every cluster",
        Scope::Home => "the cluster that manages",
    };
    let group = rule.code.group.title();
    let _written = writeln!(
        text,
        "{group} · {} · looked for in {scope}\n\n{}\n",
        rule.severity, rule.why
    );
    text.push_str("## Evidence\n\n");
    for evidence in rule.evidence {
        let _written = match evidence {
            Evidence::Record(analyzer) => writeln!(text, "- record of the analyzer `{analyzer}`"),
            Evidence::Metrics(query) => {
                writeln!(text, "- metrics, query `{}`: `{}`", query.name, query.text)
            }
            Evidence::Snapshot => writeln!(text, "- snapshot of the cluster's agent"),
        };
    }
    let any_place = json!({
        "cluster": "CLUSTER",
        "target": {"kind": "KIND", "namespace": "NAMESPACE", "name": "NAME"},
        "evidence": evidence_names(rule.steps),
    });
    let steps = render(rule.steps, &any_place).unwrap_or_else(|error| error);
    let _written = writeln!(text, "\n## What to do\n\n{}", steps.trim());
    text
}

/// What the steps take from the evidence, each standing for itself.
fn evidence_names(steps: &str) -> serde_json::Value {
    let pieces = steps.split("{{evidence.").skip(1);
    let names = pieces.filter_map(|rest| rest.split_once("}}"));
    names
        .map(|(name, _)| (name.to_owned(), json!(name.to_uppercase())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Target, catalog};

    #[test]
    fn every_rule_can_be_explained() {
        for rule in catalog() {
            let page = page(rule);
            assert!(page.contains(rule.title) && page.contains("## What to do"));
            let insight: Insight = serde_json::from_value(json!({
                "id": "x", "code": rule.code, "severity": "INFO", "cluster": "west",
                "target": Target::node("a"), "title": "", "summary": "", "evidence": {"x": "y"},
                "state": {"is": "active"}, "created": "2026-01-01T00:00:00Z",
                "observed": "2026-01-01T00:00:00Z", "run": "r", "history": [],
            }))
            .unwrap();
            let steps = steps(rule, &insight).unwrap();
            assert!(!steps.trim().is_empty() && !steps.contains("{{"), "{steps}");
        }
    }

    #[test]
    fn what_is_put_in_is_not_read_as_a_template() {
        let text = render(
            "{{target.name}}",
            &json!({"target": {"name": "{{cluster}}"}}),
        );
        assert_eq!(text.unwrap(), "{{cluster}}");
    }
}

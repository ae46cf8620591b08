//! Texts about a rule and about what it found.

use std::fmt::Write;

use handlebars::Handlebars;
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

/// The text is data for a terminal or a page that escapes for itself. What is put in is never read as a template, and what stands
/// in a command (`{{name}}`, while `{{{name}}}` is for sentences) is one word to a shell: names come from other clusters, and
/// people copy the line.
fn render(template: &str, values: &serde_json::Value) -> Steps {
    let mut engine = Handlebars::new();
    engine.register_escape_fn(quoted);
    engine
        .render_template(template, values)
        .map_err(|error| error.to_string())
}

/// As one word of a shell's.
fn quoted(value: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "._:/-".contains(char);
    // No name begins so, and quotes do not keep a command from reading an option there. A space does.
    let option = if value.starts_with('-') { " " } else { "" };
    if option.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    let inner = value.replace('\'', r"'\''");
    format!("'{option}{inner}'")
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
                let (source, name) = (query.source.as_str(), query.name);
                writeln!(
                    text,
                    "- metrics of {source}, query `{name}`: `{}`",
                    query.text
                )
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

    fn rendered(template: &str, name: &str) -> String {
        render(template, &json!({"target": {"name": name}})).unwrap()
    }

    #[test]
    fn what_is_put_in_is_not_read_as_a_template() {
        assert_eq!(rendered("{{{target.name}}}", "{{cluster}}"), "{{cluster}}");
    }

    #[test]
    fn a_name_is_one_word_of_a_command_and_no_option_of_it_whatever_it_is() {
        let command = |name| rendered("kubectl get node {{target.name}}", name);
        for name in ["", "node-1.example.org", "shop/web:8080"] {
            assert_eq!(command(name), format!("kubectl get node {name}"));
        }
        assert_eq!(command("a; rm -rf ~"), "kubectl get node 'a; rm -rf ~'");
        assert_eq!(command("$(id)'`id`"), r"kubectl get node '$(id)'\''`id`'");
        assert_eq!(command("--all"), "kubectl get node ' --all'");
        // A sentence is for reading.
        assert_eq!(
            rendered("Why: {{{target.name}}}", "it isn't"),
            "Why: it isn't"
        );
    }

    #[test]
    fn no_command_of_a_rule_puts_anything_in_as_it_is() {
        for rule in catalog() {
            let commands = rule.steps.lines().filter_map(|line| {
                let tools = ["kubectl ", "hubble ", "sysctl ", "gloonet "];
                tools
                    .iter()
                    .filter_map(|tool| line.find(tool))
                    .min()
                    .map(|at| &line[at..])
            });
            for command in commands {
                assert!(!command.contains("{{{"), "{}: {command}", rule.code);
            }
        }
    }
}

//! Every label that an expression selects by, groups by or shows is one of what it asks for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

type Words = BTreeSet<String>;
type Labels = BTreeMap<String, Words>;

/// Of every target.
const TARGET: [&str; 3] = ["instance", "job", "namespace"];

fn words<T: ToString>(all: impl IntoIterator<Item = T>) -> Words {
    all.into_iter().map(|one| one.to_string()).collect()
}

/// Labels of every metric of the index, and of what is recorded.
fn known() -> Labels {
    let index = index();
    let mut known = Labels::new();
    for exporter in index.exporters.values() {
        for metric in exporter.metrics.iter().chain(&exporter.rare) {
            let labels = known.entry(metric.clone()).or_insert_with(|| words(TARGET));
            labels.extend(exporter.adds.iter().cloned());
            if metric.ends_with("_bucket") {
                labels.insert("le".to_owned());
            }
        }
    }
    for (metric, own) in &index.labels {
        let labels = known.get_mut(metric);
        let labels = labels.unwrap_or_else(|| panic!("{metric} has labels and no exporter"));
        labels.extend(own.iter().cloned());
    }
    for rule in rules(&alerts()) {
        if let (Some(record), Some(by)) = (rule["record"].as_str(), groups(expr(&rule)).first()) {
            known.insert(record.to_owned(), by.clone());
        }
    }
    known
}

fn alerts() -> Value {
    serde_norway::from_str(include_str!("../../../../../dashboards/alerts.yaml")).unwrap()
}

fn rules(alerts: &Value) -> Vec<Value> {
    let groups = alerts["groups"].as_array().unwrap().iter();
    groups
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

fn expr(rule: &Value) -> &str {
    rule["expr"].as_str().unwrap()
}

/// The lists of labels after these words, in order.
fn lists(expression: &str, after: &[&str]) -> Vec<Words> {
    let mut found = Vec::new();
    for (at, _) in expression.match_indices('(') {
        let before = expression[..at].trim_end();
        let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        if word
            .clone()
            .next()
            .is_some_and(|word| after.contains(&word))
        {
            let inner = expression[at + 1..].split(')').next().unwrap();
            let inner = inner.split(',').map(str::trim);
            found.push(words(inner.filter(|label| !label.is_empty())));
        }
    }
    found
}

fn groups(expression: &str) -> Vec<Words> {
    lists(expression, &["by"])
}

/// What `label_replace` makes labels of and into: it is given target, replacement, source and pattern, and no other function is given
/// texts.
fn replaced(expression: &str) -> (Words, Words) {
    let mut outside = String::new();
    let mut depth = 0;
    for char in expression.chars() {
        depth += match char {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            outside.push(char);
        }
    }
    let texts: Vec<&str> = outside.split('"').skip(1).step_by(2).collect();
    let fours = || texts.chunks(4);
    (
        words(fours().map(|four| four[0])),
        words(fours().map(|four| four[2])),
    )
}

/// Labels that are selected by, with the metric they are asked of.
fn selected(expression: &str) -> Vec<(String, Words)> {
    let mut found = Vec::new();
    for (at, _) in expression.match_indices('{') {
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        let before = &expression[..at];
        let metric = before.trim_end_matches(name);
        let inner = expression[at + 1..].split('}').next().unwrap();
        // What stands in quotes is a value.
        let labels = inner.split('"').step_by(2);
        let labels = labels.map(|part| part.trim_matches([',', ' ', '=', '!', '~']));
        let labels = words(labels.filter(|label| !label.is_empty()));
        found.push((before[metric.len()..].to_owned(), labels));
    }
    found
}

/// `{{label}}` of a legend, `{{ $labels.label }}` of an annotation.
fn shown(text: &str) -> Words {
    let parts = text.split("{{").skip(1);
    let parts = parts.filter_map(|part| part.split("}}").next());
    let parts = parts.map(|part| part.trim().trim_start_matches("$labels."));
    words(parts.filter(|part| part.chars().all(|c| c.is_ascii_lowercase() || c == '_')))
}

/// What an expression or what is shown of it asks for that there is not.
fn wrong(known: &Labels, expression: &str, texts: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let (made, sources) = replaced(expression);
    let mut there = made;
    for metric in metrics_of(expression) {
        there.extend(known.get(&metric).into_iter().flatten().cloned());
    }
    for (metric, labels) in selected(expression) {
        let of_it = known.get(&metric);
        let missing = labels
            .into_iter()
            .filter(|label| !of_it.is_some_and(|of| of.contains(label)));
        wrong.extend(missing.map(|label| format!("{metric} has no label {label}")));
    }
    let grouped = lists(expression, &GROUPING)
        .into_iter()
        .flatten()
        .chain(sources);
    for label in grouped.filter(|label| !there.contains(label)) {
        wrong.push(format!("nothing of it has a label {label}"));
    }
    // What the outermost aggregation leaves.
    let left = groups(expression).into_iter().next().unwrap_or(there);
    let texts = texts.iter().flat_map(|text| shown(text));
    for label in texts.filter(|label| !left.contains(label)) {
        wrong.push(format!("it is shown with {label}, which is not left"));
    }
    wrong
}

/// Expressions of a dashboard with their legends.
fn targets(value: &Value, found: &mut Vec<(String, Vec<String>)>) {
    match value {
        Value::Object(fields) => {
            if let Some(expression) = fields.get("expr").and_then(Value::as_str) {
                let legend = fields.get("legendFormat").and_then(Value::as_str);
                found.push((
                    expression.to_owned(),
                    legend.map(str::to_owned).into_iter().collect(),
                ));
            }
            fields.values().for_each(|field| targets(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| targets(item, found)),
        _ => {}
    }
}

#[test]
fn every_label_of_a_dashboard_an_alert_or_an_insight_is_one_of_what_it_asks_for() {
    let known = known();
    let mut asked = Vec::new();
    for dashboard in all() {
        let mut found = Vec::new();
        targets(&serde_json::from_str(dashboard.json).unwrap(), &mut found);
        asked.extend(found.into_iter().map(|one| (dashboard.file, one)));
    }
    for rule in rules(&alerts()) {
        let texts = rule["annotations"].as_object().into_iter().flatten();
        let texts = texts.map(|(_, text)| text.as_str().unwrap().to_owned());
        let asks = (expr(&rule).to_owned(), texts.collect());
        asked.push(("alerts.yaml", asks));
    }
    for query in gloo_insights::queries() {
        asked.push((query.name, (query.text.to_owned(), Vec::new())));
    }
    let mut all = Vec::new();
    for (file, (expression, texts)) in &asked {
        let found = wrong(&known, expression, texts);
        all.extend(
            found
                .into_iter()
                .map(|what| format!("{file}: {expression}: {what}")),
        );
    }
    assert!(asked.len() > 100 && all.is_empty(), "{all:#?}");
}

#[test]
fn what_a_variable_offers_are_values_of_a_label_of_its_metric() {
    let known = known();
    for dashboard in all() {
        let json: Value = serde_json::from_str(dashboard.json).unwrap();
        let variables = json["templating"]["list"].as_array().unwrap();
        for one in variables.iter().filter(|one| one["type"] == "query") {
            let query = one["query"]["query"].as_str().unwrap();
            let inner = query.strip_prefix("label_values(").unwrap();
            let (series, label) = inner.strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
            let mut missing = wrong(&known, series, &[]);
            let of_it = metrics_of(series);
            if !of_it.iter().any(|metric| known[metric].contains(label)) {
                missing.push(label.to_owned());
            }
            assert!(
                missing.is_empty(),
                "{}: {query}: {missing:?}",
                dashboard.file
            );
        }
    }
}

#[test]
fn a_label_that_is_not_there_is_found_wherever_it_stands() {
    let known = Labels::from([
        ("a_bucket".to_owned(), words(["le", "node"])),
        ("b".to_owned(), words(["kind", "node"])),
    ]);
    let of = |expression: &str, text: &str| wrong(&known, expression, &[text.to_owned()]);
    let whole = r#"histogram_quantile(0.9, sum by (le, node) (rate(a_bucket{node=~"x|y"}[5m])))"#;
    assert_eq!(of(whole, "{{node}} {{ $value }}"), Vec::<String>::new());
    let selects = of(r#"a_bucket{kind="le"}"#, "");
    assert_eq!(selects, ["a_bucket has no label kind"]);
    let groups = of("sum by (pod) (b)", "");
    assert_eq!(groups, ["nothing of it has a label pod"]);
    let matches = of("b * on (pod) group_left (zone) b", "");
    assert_eq!(matches.len(), 2, "{matches:?}");
    let shows = of("sum by (kind) (max by (kind, node) (b))", "{{node}}");
    assert_eq!(shows, ["it is shown with node, which is not left"]);
    let replaces = |source| {
        format!(r#"max by (host) (label_replace(b{{kind="x"}}, "host", "$1", "{source}", "(.+)"))"#)
    };
    assert_eq!(of(&replaces("node"), "{{host}}"), Vec::<String>::new());
    assert_eq!(of(&replaces("pod"), ""), ["nothing of it has a label pod"]);
}

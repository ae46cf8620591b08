mod labels;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::component::tests::{input, program, run};

#[derive(Deserialize)]
struct Index {
    exporters: BTreeMap<String, Exporter>,
    labels: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Exporter {
    job: String,
    #[serde(default)]
    adds: Vec<String>,
    metrics: Vec<String>,
    #[serde(default)]
    rare: Vec<String>,
}

fn index() -> Index {
    toml::from_str(include_str!("../../../../dashboards/metrics.toml")).unwrap()
}

fn all() -> impl Iterator<Item = &'static Dashboard> {
    std::iter::once(&OPERATOR).chain(&OPERANDS)
}

/// Words before a list of labels.
const GROUPING: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Metric names of a PromQL expression: identifiers that are no function, no keyword and no label.
fn metrics_of(expression: &str) -> BTreeSet<String> {
    const KEYWORDS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "label_values"];
    let mut names = BTreeSet::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let word: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
            .collect();
        if word.is_empty() {
            let end = match first {
                '"' => rest[1..].find('"').unwrap() + 2,
                '{' => rest.find('}').unwrap() + 1,
                '[' => rest.find(']').unwrap() + 1,
                _ => first.len_utf8(),
            };
            rest = &rest[end..];
            continue;
        }
        rest = &rest[word.len()..];
        let after = rest.trim_start();
        let aggregates = after.starts_with("by ") || after.starts_with("without ");
        let labels =
            ["by", "without", "on", "ignoring"].contains(&word.as_str()) && after.starts_with('(');
        if labels {
            rest = &after[after.find(')').unwrap() + 1..];
        } else if !aggregates
            && !KEYWORDS.contains(&word.as_str())
            && !GROUPING.contains(&word.as_str())
            && !after.starts_with('(')
            && !word.starts_with(|c: char| c.is_ascii_digit())
        {
            names.insert(word);
        }
    }
    names
}

/// Every text that stands under this key, at any depth.
fn texts(value: &Value, wanted: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, child) in fields {
                match child {
                    Value::String(text) if key == wanted => found.push(text.clone()),
                    other => texts(other, wanted, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, wanted, found)),
        _ => {}
    }
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    texts(value, "expr", found);
}

#[test]
fn the_names_in_an_expression_are_found_and_labels_functions_and_keywords_are_not() {
    let expression = r#"histogram_quantile(0.99, sum by (le, pod) (rate(a_bucket{pod=~"b"}[5m]))) / on (pod) c_total offset 5m"#;
    assert_eq!(
        metrics_of(expression),
        BTreeSet::from(["a_bucket".to_owned(), "c_total".to_owned()])
    );
}

#[test]
fn every_metric_of_a_dashboard_or_an_alert_is_exported_by_something() {
    let alerts: Value =
        serde_norway::from_str(include_str!("../../../../dashboards/alerts.yaml")).unwrap();
    let mut recorded = Vec::new();
    texts(&alerts, "record", &mut recorded);
    let known: BTreeSet<String> = index()
        .exporters
        .into_values()
        .flat_map(|exporter| exporter.metrics.into_iter().chain(exporter.rare))
        .chain(recorded)
        .collect();
    let mut sources: Vec<(&str, Value)> = all()
        .map(|dashboard| {
            (
                dashboard.file,
                serde_json::from_str(dashboard.json).unwrap(),
            )
        })
        .collect();
    sources.push(("alerts.yaml", alerts));
    for (file, value) in sources {
        let mut found = Vec::new();
        expressions(&value, &mut found);
        assert!(found.len() > 3, "{file} has no expressions");
        for expression in found {
            for metric in metrics_of(&expression) {
                assert!(
                    known.contains(&metric),
                    "{file}: {metric} in {expression} is in no exporter's list of dashboards/metrics.toml"
                );
            }
        }
    }
}

#[test]
fn every_exporter_of_the_index_is_scraped() {
    let jobs: Vec<&str> = crate::prometheus::config::jobs(&input())
        .iter()
        .map(|job| job.name)
        .collect();
    for (name, exporter) in index().exporters {
        assert!(
            jobs.contains(&exporter.job.as_str()),
            "{name}: no scrape job {}",
            exporter.job
        );
    }
}

#[test]
fn every_dashboard_has_the_uid_its_probe_asks_for_a_title_and_unique_panel_ids() {
    for dashboard in all() {
        let json: Value = serde_json::from_str(dashboard.json).unwrap();
        assert_eq!(json["uid"], dashboard.uid);
        assert!(
            json["title"]
                .as_str()
                .is_some_and(|title| title.starts_with("GlooNetwork / "))
        );
        let ids: Vec<u64> = json["panels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|panel| panel["id"].as_u64().unwrap())
            .collect();
        assert_eq!(
            ids.iter().collect::<BTreeSet<_>>().len(),
            ids.len(),
            "{}",
            dashboard.file
        );
    }
}

#[test]
fn every_dashboard_leads_to_all_others() {
    for dashboard in all() {
        let json: Value = serde_json::from_str(dashboard.json).unwrap();
        let tags = json["tags"].as_array().unwrap();
        assert!(tags.contains(&"gloonet".into()), "{}", dashboard.file);
        let leads = json["links"].as_array().unwrap().iter().any(|link| {
            link["type"] == "dashboards" && link["tags"] == serde_json::json!(["gloonet"])
        });
        assert!(leads, "{}", dashboard.file);
    }
}

/// The selectors of an expression, in braces.
fn selectors(expression: &str) -> Vec<&str> {
    let begun = expression.split('{').skip(1);
    begun.map(|rest| rest.split_once('}').unwrap().0).collect()
}

#[test]
fn a_panel_about_cilium_or_about_what_clusters_relay_shows_the_cluster_that_is_chosen() {
    let about_agents = ["cilium-agent.json", "cilium-policy.json", "hubble.json"];
    for dashboard in all() {
        let json: Value = serde_json::from_str(dashboard.json).unwrap();
        let mut found = Vec::new();
        expressions(&json, &mut found);
        let relayed: Vec<&str> = found
            .iter()
            .flat_map(|expression| selectors(expression))
            .filter(|selector| selector.contains(r#"job="gloo-telemetry-relayed""#))
            .collect();
        for selector in &relayed {
            let heeds = selector.contains(r#"cluster_name=~"$cluster""#);
            assert!(heeds, "{}: {{{selector}}}", dashboard.file);
        }
        if about_agents.contains(&dashboard.file) {
            assert!(relayed.len() > 5, "{}", dashboard.file);
            // What is scraped here alone would be nothing for another cluster.
            let here = found.iter().find(|one| one.contains("k8s_app="));
            assert_eq!(here, None, "{}", dashboard.file);
        }
        let variables = json["templating"]["list"].as_array().unwrap();
        let offers = variables.iter().any(|one| one["name"] == "cluster");
        assert!(offers || relayed.is_empty(), "{}", dashboard.file);
    }
}

#[test]
fn no_two_panels_of_a_dashboard_lie_over_each_other() {
    for dashboard in all() {
        let json: Value = serde_json::from_str(dashboard.json).unwrap();
        let mut taken = BTreeSet::new();
        for panel in json["panels"].as_array().unwrap() {
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            assert!(x + w <= 24, "{}: {}", dashboard.file, panel["title"]);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{}: {}", dashboard.file, panel["title"]);
            }
        }
    }
}

#[test]
fn promtool_understands_every_expression_of_every_dashboard() {
    let Some(promtool) = program("promtool") else {
        return;
    };
    let mut rules = Vec::new();
    for dashboard in all() {
        let mut found = Vec::new();
        expressions(&serde_json::from_str(dashboard.json).unwrap(), &mut found);
        for expression in found {
            rules.push(
                serde_json::json!({"record": format!("panel:{}", rules.len()), "expr": expression}),
            );
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("panels.json");
    let groups = serde_json::json!({"groups": [{"name": "panels", "rules": rules}]});
    std::fs::write(&file, groups.to_string()).unwrap();
    run(std::process::Command::new(promtool)
        .args(["check", "rules"])
        .arg(&file));
}

//! `docs/reference/metrics.md`: what `metrics/ui` sends and who asks for it. One is refused that is asked for and not sent, or sent and not
//! asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gloo_insights::{Evidence, catalog};
use gloo_translate::dry_run;
use gloonet_catalog::METRICS_UI;
use serde_json::Value;

use crate::home;

/// What collectors scrape begins so, and no label or function of PromQL does.
const SCRAPED: [&str; 3] = ["cilium_", "hubble_", "otelcol_"];
/// What programs export that only Prometheus scrapes.
const OTHERS: [&str; 2] = ["cilium_operator_", "hubble_relay_"];
/// What is added to the name of a family.
const SUFFIXES: [&str; 4] = ["_bucket", "_sum", "_count", "_total"];
/// The job by which Prometheus has what collectors sent.
const RELAYED: &str = "gloo-telemetry-relayed";

const HEAD: &str = "<!-- Written by `./dev gen`; change operator/catalog/src/collectors/minimum.rs and who asks, not this file. -->\n\
# Metrics of `metrics/ui`\n\n\
What collectors send to Prometheus by default: what our dashboards, alerts, insights and dry runs ask for, and nothing else. The rest that Cilium and \
Hubble export comes with [`metrics/cilium`](../telemetry.md#what-is-collected).\n\n\
Names are those of the agents' pages. Of a histogram there are `_bucket`, `_sum` and `_count`; counters of the collector (`otelcol_*`) \
have `_total` in Prometheus.\n\n\
| metric | asked for by |\n|---|---|\n";

/// Who asks, and in which words of PromQL.
struct Asker {
    name: String,
    text: String,
}

/// Who asks for each family.
type Asked = BTreeMap<&'static str, BTreeSet<String>>;

pub fn page() -> Result<String> {
    let asked = compare(METRICS_UI, &askers(&home::root()?.join("dashboards"))?)?;
    let mut page = HEAD.to_owned();
    for (family, by) in asked {
        let by: Vec<String> = by.into_iter().collect();
        let _written = writeln!(page, "| `{family}` | {} |", by.join(", "));
    }
    Ok(page)
}

fn askers(dashboards: &Path) -> Result<Vec<Asker>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dashboards).context("list the dashboards")? {
        let path = entry.context("list the dashboards")?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let text = read(&path)?;
            let file: Value = serde_json::from_str(&text).context("read a dashboard")?;
            let title = file["title"].as_str().unwrap_or_default();
            let name = format!("dashboard {}", title.trim_start_matches("GlooNetwork / "));
            texts(&file, &["expr", "query"], &name, &mut all);
        }
    }
    let alerts: Value = serde_norway::from_str(&read(&dashboards.join("alerts.yaml"))?)
        .context("read the alerts")?;
    let groups = alerts["groups"].as_array().into_iter().flatten();
    for rule in groups.flat_map(|group| group["rules"].as_array().into_iter().flatten()) {
        let name = match (rule["alert"].as_str(), rule["record"].as_str()) {
            (Some(alert), _) => format!("alert {alert}"),
            (None, record) => format!("record `{}`", record.unwrap_or_default()),
        };
        texts(rule, &["expr"], &name, &mut all);
    }
    all.extend(insights());
    all.push(Asker {
        name: "dry runs".to_owned(),
        text: dry_run::QUERY.to_owned(),
    });
    Ok(all)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// What rules ask, and what their steps tell people to ask.
fn insights() -> impl Iterator<Item = Asker> {
    catalog().iter().flat_map(|rule| {
        let queries = rule.evidence.iter().filter_map(|evidence| match evidence {
            Evidence::Metrics(query) => Some(query.text),
            _ => None,
        });
        queries.chain([rule.steps]).map(|text| Asker {
            name: format!("insight {}", rule.code),
            text: text.to_owned(),
        })
    })
}

/// Every text that stands under one of these keys, at any depth.
fn texts(value: &Value, keys: &[&str], name: &str, found: &mut Vec<Asker>) {
    match value {
        Value::Object(fields) => {
            for (key, child) in fields {
                match child {
                    Value::String(text) if keys.contains(&key.as_str()) => found.push(Asker {
                        name: name.to_owned(),
                        text: text.clone(),
                    }),
                    other => texts(other, keys, name, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, keys, name, found)),
        _ => {}
    }
}

/// The metrics of what collectors send that an expression names. What is said to be another job's, which Prometheus scrapes itself, is none.
fn names(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(start) = rest.find(in_a_word) {
        rest = &rest[start..];
        let end = rest.find(|one| !in_a_word(one)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let selector = after.strip_prefix('{').and_then(|it| it.split('}').next());
        let begins = |with: &[&str]| with.iter().any(|one| word.starts_with(one));
        if begins(&SCRAPED) && !begins(&OTHERS) && !selector.is_some_and(is_elsewhere) {
            found.insert(word);
        }
        rest = after;
    }
    found
}

/// Whether a selector is about what Prometheus scrapes itself.
fn is_elsewhere(selector: &str) -> bool {
    let mut matchers = selector.split(',').map(str::trim_start);
    matchers.any(|one| {
        one.starts_with("k8s_app=") || (one.starts_with("job=") && !one.contains(RELAYED))
    })
}

const fn in_a_word(one: char) -> bool {
    one.is_ascii_alphanumeric() || matches!(one, '_' | ':')
}

fn compare(sent: &[&'static str], askers: &[Asker]) -> Result<Asked> {
    let mut asked: Asked = sent.iter().map(|one| (*one, BTreeSet::new())).collect();
    let mut wrong = BTreeSet::new();
    for asker in askers {
        for name in names(&asker.text) {
            let mut families = SUFFIXES
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix));
            let family = sent
                .contains(&name)
                .then_some(name)
                .or_else(|| families.find(|one| sent.contains(one)));
            match family.and_then(|family| asked.get_mut(family)) {
                Some(by) => {
                    by.insert(asker.name.clone());
                }
                None => {
                    wrong.insert(format!("{} asks for {name}, which is not sent", asker.name));
                }
            }
        }
    }
    let idle = asked.iter().filter(|(_, by)| by.is_empty());
    wrong.extend(idle.map(|(family, _)| format!("{family} is sent and nobody asks for it")));
    if !wrong.is_empty() {
        let wrong: Vec<String> = wrong.into_iter().collect();
        bail!(
            "operator/catalog/src/collectors/minimum.rs:\n{}",
            wrong.join("\n")
        );
    }
    Ok(asked)
}

#[cfg(test)]
mod tests;

//! The analyzers' last reports, from the streams redis-sink writes (`docs/redis-keys.md`).

use std::collections::BTreeMap;

use gloo_record::{Analyzer, Part, Report, assemble};
use redis::{FromRedisValue, RedisError, Value, aio::MultiplexedConnection, pipe};
use serde::Deserialize;

/// Entries kept of one part: of the newest run, and of the one before while that is on its way.
const ENTRIES: usize = 2;
/// Parts of a report at most. A longer one is no analyzer's.
const MOST_PARTS: u32 = 64;

/// What is known of each analyzer of a cluster. One that never reported is not there.
pub type Reports = BTreeMap<Analyzer, Result<Report, String>>;

/// Reads the last reports of a cluster.
pub async fn read(
    connection: &mut MultiplexedConnection,
    cluster: &str,
) -> Result<Reports, RedisError> {
    let first: Vec<(Analyzer, u32)> = Analyzer::ALL.map(|analyzer| (analyzer, 0)).to_vec();
    let mut found: BTreeMap<Analyzer, Vec<Stored>> = BTreeMap::new();
    for ((analyzer, _), entries) in fetch(connection, cluster, &first).await? {
        found.entry(analyzer).or_default().extend(entries);
    }
    let mut more = Vec::new();
    for (analyzer, entries) in &found {
        let parts = entries.iter().filter_map(|entry| entry.as_ref().ok());
        let count = parts.map(|part| part.parts).max().unwrap_or(1);
        more.extend((1..count.min(MOST_PARTS)).map(|part| (*analyzer, part)));
    }
    for ((analyzer, _), entries) in fetch(connection, cluster, &more).await? {
        found.entry(analyzer).or_default().extend(entries);
    }
    Ok(found
        .into_iter()
        .filter(|(_, entries)| !entries.is_empty())
        .map(|(analyzer, entries)| (analyzer, report(analyzer, entries)))
        .collect())
}

type Stored = Result<Part, String>;
type Place = (Analyzer, u32);

/// The entries of each stream, oldest first.
async fn fetch(
    connection: &mut MultiplexedConnection,
    cluster: &str,
    places: &[Place],
) -> Result<Vec<(Place, Vec<Stored>)>, RedisError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut commands = pipe();
    for (analyzer, part) in places {
        let key = format!("gloonet:v1:logs:{cluster}:analyzer:{analyzer}:{part}");
        let command = commands.cmd("XREVRANGE").arg(key).arg("+").arg("-");
        command.arg("COUNT").arg(ENTRIES);
    }
    let answers: Vec<Value> = commands.query_async(connection).await?;
    let all = places.iter().zip(answers);
    Ok(all
        .map(|(place, answer)| (*place, entries(answer)))
        .collect())
}

/// An entry is `[id, [field, value, …]]`. What is none is told, not skipped.
fn entries(answer: Value) -> Vec<Stored> {
    let rows: Result<Vec<(String, BTreeMap<String, String>)>, _> =
        FromRedisValue::from_redis_value(answer);
    let Ok(mut rows) = rows else {
        return vec![Err("the stream is of another kind".to_owned())];
    };
    rows.reverse();
    rows.iter()
        .map(|(_, fields)| part(fields.get("r").map_or("", String::as_str)))
        .collect()
}

#[derive(Deserialize)]
struct Entry {
    body: String,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    run: String,
    part: String,
    parts: String,
}

fn part(text: &str) -> Stored {
    let wrong = |error: &dyn std::fmt::Display| {
        format!("an entry is no log record of an analyzer: {error}")
    };
    let entry: Entry = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let number = |text: &str| text.parse::<u32>().map_err(|error| wrong(&error));
    Ok(Part {
        run: entry.attributes.run,
        part: number(&entry.attributes.part)?,
        parts: number(&entry.attributes.parts)?,
        text: entry.body,
    })
}

/// The report under an analyzer's key must be that analyzer's.
fn report(analyzer: Analyzer, entries: Vec<Stored>) -> Result<Report, String> {
    let (mut parts, mut broken) = (Vec::new(), None);
    for entry in entries {
        match entry {
            Ok(part) => parts.push(part),
            Err(why) => broken = Some(why),
        }
    }
    match assemble(&parts) {
        Ok(report) if report.analyzer == analyzer => Ok(report),
        Ok(report) => Err(format!("it is of analyzer {}", report.analyzer)),
        Err(error) => Err(broken.unwrap_or_else(|| error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use gloo_record::{Outcome, SCHEMA, parts};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sent(analyzer: Analyzer) -> Report {
        Report {
            schema: SCHEMA,
            run: "a".to_owned(),
            taken: "2026-01-01T00:00:00Z".parse().unwrap(),
            interval: 20,
            version: "0.1.0".to_owned(),
            analyzer,
            outcome: Outcome::Failed("why".to_owned()),
        }
    }

    /// As redis-sink stores it.
    fn stored(report: &Report) -> Vec<Stored> {
        let all = parts(report).unwrap().into_iter();
        all.map(|one| {
            let text = json!({
                "time": "1", "severity": "INFO", "body": one.text, "resource": {"cluster_name": "west"},
                "attributes": {"run": one.run, "part": one.part.to_string(), "parts": one.parts.to_string()},
            });
            part(&text.to_string())
        })
        .collect()
    }

    #[test]
    fn what_an_analyzer_sent_is_read_as_it_was() {
        let report = sent(Analyzer::Nodes);
        assert_eq!(super::report(Analyzer::Nodes, stored(&report)), Ok(report));
    }

    #[test]
    fn a_report_under_another_analyzers_key_is_refused() {
        let entries = stored(&sent(Analyzer::Images));
        let refused = report(Analyzer::Nodes, entries).unwrap_err();
        assert_eq!(refused, "it is of analyzer images");
    }

    #[test]
    fn an_entry_that_is_none_is_told() {
        let refused = report(Analyzer::Nodes, vec![part("{}")]).unwrap_err();
        assert!(
            refused.starts_with("an entry is no log record"),
            "{refused}"
        );
        let other = entries(Value::Int(7));
        assert!(other[0].is_err());
    }

    proptest! {
        #[test]
        fn foreign_text_is_refused_and_nothing_else_happens(text in ".{0,200}") {
            prop_assert!(part(&text).is_err());
        }
    }
}

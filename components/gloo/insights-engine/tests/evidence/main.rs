//! Runs of the engine over evidence that is missing or wrong: a real Redis, and stand-ins for Prometheus that are gone, slow,
//! empty or lying. What needs that evidence is unknown, the engine's error is there to be seen, and nothing is said to be fine.

#![expect(
    clippy::unwrap_used,
    reason = "what a test needs fails the test it serves"
)]

mod prometheus;
mod scene;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use gloo_insights::{Code, Evidence, Overview, catalog};
use gloo_record::Analyzer;
use redis::cmd;

use prometheus::{Behaviour, LIES, start};
use scene::{Redis, Scene};

fn metrics(evidence: &Evidence) -> bool {
    matches!(evidence, Evidence::Metrics(_))
}

/// Rules that have nothing but Prometheus to go by.
fn on_metrics() -> BTreeSet<Code> {
    let rules = catalog().iter();
    rules
        .filter(|rule| !rule.evidence.is_empty() && rule.evidence.iter().all(metrics))
        .map(|rule| rule.code)
        .collect()
}

fn unknown(page: &Overview) -> BTreeSet<Code> {
    page.unknown.iter().map(|one| one.code).collect()
}

/// Nothing about metrics is said but that it is not known, and why is there to be read and counted.
fn knows_nothing_of_metrics(scene: &Scene, page: &Overview, lie: &str) {
    let missing: Vec<_> = on_metrics().difference(&unknown(page)).copied().collect();
    assert!(
        missing.is_empty(),
        "{lie}: judged without evidence: {missing:?}"
    );
    assert!(page.insights.is_empty(), "{lie}: {:?}", page.insights);
    assert!(!page.errors.is_empty(), "{lie}: no error to be seen");
    assert!(scene.errors("query") > 0, "{lie}: no error counted");
}

#[tokio::test]
async fn a_truthful_prometheus_lets_every_rule_about_metrics_judge() {
    let redis = Redis::start().await;
    let scene = Scene::new(&redis, &start(Behaviour::Truth(0.0)).await, &["west"]);
    let page = scene.run().await;
    let judged: BTreeSet<Code> = on_metrics().difference(&unknown(&page)).copied().collect();
    assert_eq!(judged, on_metrics());
    assert!(judged.len() > 10, "{judged:?}");
    assert!(page.errors.is_empty(), "{:?}", page.errors);
    assert_eq!(scene.errors("query"), 0);
}

#[tokio::test]
async fn a_prometheus_that_lies_makes_unknown_and_never_fine() {
    let redis = Redis::start().await;
    for (lie, behaviour) in LIES {
        let scene = Scene::new(&redis, &start(behaviour).await, &["west"]);
        let page = scene.run().await;
        knows_nothing_of_metrics(&scene, &page, lie);
    }
}

#[tokio::test]
async fn a_prometheus_that_is_gone_makes_unknown_and_never_fine() {
    let redis = Redis::start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let scene = Scene::new(&redis, &url, &["west"]);
    let page = scene.run().await;
    knows_nothing_of_metrics(&scene, &page, "gone");
}

async fn holds_no_run_up(behaviour: Behaviour) {
    let redis = Redis::start().await;
    let scene = Scene::new(&redis, &start(behaviour).await, &["west"]);
    let began = Instant::now();
    let page = scene.run().await;
    assert!(began.elapsed() < Duration::from_mins(1), "{behaviour:?}");
    knows_nothing_of_metrics(&scene, &page, "slow");
}

#[tokio::test]
async fn a_prometheus_that_never_answers_holds_no_run_up_for_long() {
    holds_no_run_up(Behaviour::Silent).await;
}

#[tokio::test]
async fn an_answer_that_never_ends_holds_no_run_up_for_long() {
    holds_no_run_up(Behaviour::Endless).await;
}

#[tokio::test]
async fn certificates_that_an_analyzer_found_are_told_with_the_time_they_run_out() {
    let redis = Redis::start().await;
    let healthy = gloo_insights::testing::Scene::healthy();
    let mut report = healthy.cluster.reports[&Analyzer::Certificates]
        .clone()
        .unwrap();
    report.taken = jiff::Timestamp::now();
    let attributes = serde_json::json!({"run": report.run, "part": "0", "parts": "1"});
    let body = serde_json::to_string(&report).unwrap();
    let entry = serde_json::json!({"body": body, "attributes": attributes});
    redis
        .add("west", Analyzer::Certificates, &entry.to_string())
        .await;
    let url = start(Behaviour::Truth(0.0)).await;
    let told = Scene::new(&redis, &url, &["west"])
        .published()
        .await
        .certificates();
    assert_eq!(told["west"].told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn records_of_a_cluster_that_is_not_registered_are_not_looked_at() {
    let redis = Redis::start().await;
    for cluster in ["west", "ghost"] {
        redis.add(cluster, Analyzer::Nodes, "{}").await;
    }
    let url = start(Behaviour::Truth(0.0)).await;
    let page = Scene::new(&redis, &url, &["west"]).run().await;
    assert_eq!(page.clusters, ["west"]);
    let said = serde_json::to_string(&page).unwrap();
    assert!(!said.contains("ghost"), "{said}");
    // Registered, what it sent counts.
    let page = Scene::new(&redis, &url, &["ghost", "west"]).run().await;
    let about = |cluster: &str| {
        let words = format!("record of nodes of cluster {cluster}: ");
        page.errors.iter().any(|error| error.starts_with(&words))
    };
    assert!(about("ghost") && about("west"), "{:?}", page.errors);
}

#[tokio::test]
async fn records_with_values_of_wrong_types_are_an_error_and_make_unknown() {
    let redis = Redis::start().await;
    let attributes = r#"{"run": "r", "part": "0", "parts": "1"}"#;
    let wrong = [
        format!(r#"{{"body": {{"n": 1}}, "attributes": {attributes}}}"#),
        r#"{"body": "{}", "attributes": {"run": "r", "part": 0, "parts": []}}"#.to_owned(),
        r#"{"body": "{}", "attributes": {"run": "r", "part": "0", "parts": "4294967295"}}"#
            .to_owned(),
        format!(r#"{{"body": "[]", "attributes": {attributes}}}"#),
        "\u{0}".to_owned(),
    ];
    let url = start(Behaviour::Truth(0.0)).await;
    for entry in wrong {
        redis.add("west", Analyzer::Nodes, &entry).await;
        let scene = Scene::new(&redis, &url, &["west"]);
        let page = scene.run().await;
        let words = "record of nodes of cluster west: ";
        let said = page.errors.iter().any(|error| error.starts_with(words));
        assert!(said, "{entry}: {:?}", page.errors);
        assert_eq!(scene.errors("record"), 1, "{entry}");
        let needs = |evidence: &Evidence| matches!(evidence, Evidence::Record(Analyzer::Nodes));
        for rule in catalog()
            .iter()
            .filter(|rule| rule.evidence.iter().any(needs))
        {
            assert!(
                unknown(&page).contains(&rule.code),
                "{entry}: {}",
                rule.code
            );
        }
    }
}

#[tokio::test]
async fn no_word_of_another_cluster_changes_what_a_terminal_shows() {
    let redis = Redis::start().await;
    let run = "r\u{1b}]0;owned\u{7}\u{202e}\nall is well";
    let attributes = serde_json::json!({"run": run, "part": "0", "parts": "2"});
    let entry = serde_json::json!({"body": "{}", "attributes": attributes});
    redis.add("west", Analyzer::Nodes, &entry.to_string()).await;
    let url = start(Behaviour::Truth(0.0)).await;
    let page = Scene::new(&redis, &url, &["west"]).run().await;
    let words = "record of nodes of cluster west: run r]0;owned all is well has 1 of 2 parts";
    assert!(
        page.errors.iter().any(|error| error == words),
        "{:?}",
        page.errors
    );
}

#[tokio::test]
async fn what_somebody_else_wrote_under_our_keys_is_left_out_said_and_counted() {
    let redis = Redis::start().await;
    let snapshot = gloo_store::redis_key(&"west".parse().unwrap());
    for (key, field) in [("gloonet:v1:insights:west", "id"), (&snapshot, "head")] {
        let mut set = cmd("HSET");
        set.arg(key).arg(field).arg("{}");
        set.exec_async(&mut redis.connection().await).await.unwrap();
    }
    let url = start(Behaviour::Truth(0.0)).await;
    let scene = Scene::new(&redis, &url, &["west"]);
    let page = scene.run().await;
    assert_eq!((scene.errors("entry"), scene.errors("snapshot")), (1, 1));
    let said = |error: &String| error.starts_with("snapshot of cluster west: ");
    assert!(page.errors.iter().any(said), "{:?}", page.errors);
    assert!(page.insights.is_empty(), "{:?}", page.insights);
    let on_snapshots = |evidence: &Evidence| matches!(evidence, Evidence::Snapshot);
    for rule in catalog()
        .iter()
        .filter(|rule| rule.evidence.iter().any(on_snapshots))
    {
        assert!(unknown(&page).contains(&rule.code), "{}", rule.code);
    }
}

#[tokio::test]
async fn with_a_redis_without_memory_the_engine_goes_on_and_says_that_nothing_is_kept() {
    let redis = Redis::start().await;
    redis.set("maxmemory-policy", "noeviction").await;
    redis.set("maxmemory", "1mb").await;
    redis.fill().await;
    let url = start(Behaviour::Truth(1e9)).await;
    let scene = Scene::new(&redis, &url, &["west"]);
    let page = scene.run().await;
    assert!(!page.insights.is_empty());
    let said = page
        .errors
        .iter()
        .any(|error| error.starts_with("Redis does not keep insights"));
    assert!(said, "{:?}", page.errors);
    assert!(scene.errors("redis") > 0);
    redis.set("maxmemory", "0").await;
    scene.run().await;
    let mut connection = redis.connection().await;
    let mut kept = cmd("HLEN");
    kept.arg("gloonet:v1:insights:west");
    let kept: usize = kept.query_async(&mut connection).await.unwrap();
    assert_eq!(kept, page.insights.len());
}

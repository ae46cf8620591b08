use gloo_insights::{catalog, testing::Scene};
use gloo_store::RedisArgs;
use redis_access::testing::RedisServer;

use super::*;

/// Reads nothing and asks nobody: for what it does with what it has.
fn engine() -> Engine {
    with_redis("redis://127.0.0.1:1".to_owned())
}

fn with_redis(redis_url: String) -> Engine {
    let args = RedisArgs {
        redis_url,
        redis_credentials: None,
        redis_ca: None,
    };
    Engine {
        home: "west".parse().unwrap(),
        interval: Duration::from_secs(15),
        redis: Redis::new(&args),
        snapshots: None,
        prometheus: None,
        clusters: watch::channel(None).1,
        settings: watch::channel(Settings::default()).1,
        shared: Arc::default(),
        metrics: Arc::default(),
    }
}

#[test]
fn a_rule_that_panicked_is_counted_and_said_and_never_fine() {
    let engine = engine();
    let broken = Evaluation {
        rule: catalog()[0],
        verdict: Verdict::Broken("index out of bounds".to_owned()),
        omitted: 0,
    };
    let judged = [("west".to_owned(), vec![broken])];
    let run = ("r".to_owned(), Timestamp::UNIX_EPOCH);
    let mut kept = Kept::default();
    engine.publish(&mut kept, &judged, run, BTreeSet::new(), Vec::new());
    let (page, _) = engine.shared.page().unwrap();
    assert_eq!(page.unknown.len(), 1);
    assert_eq!(page.unknown[0].code, catalog()[0].code);
    let why = "the rule broke: index out of bounds";
    assert_eq!(page.unknown[0].why, why);
    let text = crate::metrics::text(&engine.metrics, &engine.shared).unwrap();
    let counted = "gloo_mesh_insights_engine_errors_total{kind=\"rule\"} 1";
    assert!(text.contains(counted), "{text}");
}

#[test]
fn an_answer_that_should_have_a_sample_and_has_none_is_unknown_and_after_a_while_an_error() {
    let (engine, mut kept) = (engine(), Kept::default());
    let mut scene = Scene::healthy();
    scene.answers.insert("events-lost", Ok(Vec::new()));
    let settings = Settings::default();
    for (minutes, errors) in [(0, 0), (2, 1), (3, 2)] {
        let all = evaluate(&scene.view(), &settings, || (), |_, (), ()| ());
        let ended = scene.now + Duration::from_mins(minutes);
        let (judged, run) = ([("west".to_owned(), all)], ("r".to_owned(), ended));
        engine.publish(&mut kept, &judged, run, BTreeSet::new(), Vec::new());
        let (page, _) = engine.shared.page().unwrap();
        let unknown: Vec<String> = page
            .unknown
            .iter()
            .map(|one| one.code.to_string())
            .collect();
        assert_eq!(unknown, ["HLT0112"]);
        let words =
            "insight HLT0112 of cluster west: Prometheus has no sample for query events-lost";
        let told = page.errors.iter().any(|error| error == words);
        assert_eq!(told, errors > 0, "{:?}", page.errors);
        let text = crate::metrics::text(&engine.metrics, &engine.shared).unwrap();
        let counted =
            format!("gloo_mesh_insights_engine_errors_total{{kind=\"sample\"}} {errors}\n");
        assert!(text.contains(&counted), "{text}");
    }
}

#[test]
fn answers_without_any_sample_are_doubtful_and_a_single_query_without_one_is_not() {
    let nothing = || Ok(Vec::new());
    let something = || Ok(vec![Sample::default()]);
    let all = doubtful(&Answers::from([("a", nothing()), ("b", nothing())]));
    assert_eq!(all, ["Prometheus has no sample for any query"]);
    let one = Answers::from([("a", nothing()), ("b", something())]);
    assert_eq!(doubtful(&one), Vec::<String>::new());
    assert_eq!(doubtful(&Answers::new()), Vec::<String>::new());
}

/// With what is to be said of a node that is not ready.
fn found(node: usize) -> Kept {
    let scene = Scene::healthy().nodes(|nodes| nodes.nodes[node].ready = false);
    let settings = Settings::default();
    let all = evaluate(&scene.view(), &settings, || (), |_, (), ()| ());
    let mut kept = Kept::default();
    kept.book
        .advance(("west", true), &all, &settings, "r", scene.now);
    assert!(!kept.book.insights.is_empty());
    kept
}

#[tokio::test]
async fn what_was_found_while_redis_was_away_is_kept_beside_what_redis_has() {
    let names = BTreeSet::from(["west".parse().unwrap()]);
    let mut errors = Vec::new();
    let redis = RedisServer::start(&[]);
    redis.connection().await;
    // An earlier engine, which had read its book.
    let mut earlier = found(0);
    earlier.loaded = true;
    with_redis(redis.url())
        .save(&mut earlier, &mut errors)
        .await;
    assert_eq!(errors, Vec::<String>::new());

    let (mut kept, away) = (found(1), engine());
    away.load(&mut kept, &names, &mut errors).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    // Its own book would take the place of the one nobody has read.
    away.save(&mut kept, &mut errors).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    let back = with_redis(redis.url());
    back.load(&mut kept, &names, &mut errors).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    let own = found(1);
    let both = earlier.book.insights.keys().chain(own.book.insights.keys());
    let both: BTreeSet<String> = both.cloned().collect();
    assert!(both.len() > earlier.book.insights.len());
    assert!(kept.book.insights.keys().eq(&both), "{:?}", kept.book);
}

#[test]
fn certificates_are_told_of_every_cluster_that_is_known_of() {
    let (mut west, east) = (Scene::healthy().cluster, Scene::blind().cluster);
    let mut clusters = vec![west.clone(), east];
    clusters[1].name = "east".to_owned();
    west.name = "north".to_owned();
    clusters.push(west);
    let told = expiries(&clusters, &Answers::new(), Scene::healthy().now);
    assert_eq!(told.keys().collect::<Vec<_>>(), ["north", "west"]);
    assert_eq!(told["west"].told.len(), 1);
}

#[test]
fn findings_that_are_left_out_are_counted_by_rule_and_cluster() {
    let engine = engine();
    let much = Evaluation {
        rule: catalog()[0],
        verdict: Verdict::Found(Vec::new()),
        omitted: 7,
    };
    let judged = [("west".to_owned(), vec![much])];
    let run = ("r".to_owned(), Timestamp::UNIX_EPOCH);
    let mut kept = Kept::default();
    engine.publish(&mut kept, &judged, run, BTreeSet::new(), Vec::new());
    let text = crate::metrics::text(&engine.metrics, &engine.shared).unwrap();
    let code = catalog()[0].code;
    let counted =
        format!("gloo_mesh_insights_omitted_findings{{code=\"{code}\",cluster=\"west\"}} 7");
    assert!(text.contains(&counted), "{text}");
}

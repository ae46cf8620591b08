//! Somebody else writes what the operator owns, again and again.

use jiff::Timestamp;

use super::{CONFIG, api_server::ApiServer, config, hands, redis, turn, turn_at};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[tokio::test]
async fn an_object_that_is_changed_back_five_times_is_left_alone_until_a_pause_is_over() {
    let server = ApiServer::default();
    let mut hands = hands(&server).await;
    let edit = || server.put(CONFIG, config("edited"), "kubectl-edit");
    let forced = format!("PATCH {CONFIG} force=true");
    turn(&mut hands, &server, &redis("1")).await;
    for second in 1..=5 {
        assert_eq!(hands.fights().sentences(), [""; 0]);
        edit();
        let (lines, done) = turn_at(at(second), &mut hands, &server, &redis("1")).await;
        assert!(lines.contains(&forced), "{lines:?}");
        assert_eq!(done.corrections.len(), 1);
    }
    let said = "ConfigMap gloo-mesh/redis was changed back 5 times: kubectl-edit had changed .data.key; \
                stop it from writing what the operator owns";
    assert_eq!(hands.fights().sentences(), [said]);

    edit();
    for second in [6, 20, 34] {
        let (lines, done) = turn_at(at(second), &mut hands, &server, &redis("1")).await;
        assert_eq!(lines, [""; 0], "second {second}");
        assert!(done.corrections.is_empty() && !done.retry, "{done:?}");
        assert_eq!(hands.next_try(at(second)), Some(at(35)));
    }
    assert_eq!(server.get(CONFIG).unwrap()["data"]["key"], "edited");

    let (lines, _) = turn_at(at(35), &mut hands, &server, &redis("1")).await;
    assert!(lines.contains(&forced), "{lines:?}");
    assert_eq!(server.get(CONFIG).unwrap()["data"]["key"], "1");
    assert_eq!(hands.next_try(at(35)), Some(at(95)), "twice as long");
}

#[tokio::test]
async fn what_nobody_quarrels_about_is_written_in_the_pause_of_another_object() {
    let server = ApiServer::default();
    let mut hands = hands(&server).await;
    turn(&mut hands, &server, &redis("1")).await;
    for second in 1..=5 {
        server.put(CONFIG, config("edited"), "kubectl-edit");
        turn_at(at(second), &mut hands, &server, &redis("1")).await;
    }
    server.put(CONFIG, config("edited"), "kubectl-edit");
    let both = super::with_another();
    let (lines, _) = turn_at(at(6), &mut hands, &server, &both).await;
    assert!(
        lines.iter().any(|line| line.contains("configmaps/other")),
        "{lines:?}"
    );
    assert!(!lines.iter().any(|line| line.contains(CONFIG)), "{lines:?}");
}

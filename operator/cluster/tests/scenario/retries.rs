//! A write that failed is not sent again with every look.

use super::*;

fn after(seconds: i64) -> Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

/// A server that has somebody else's object where ours is to be.
fn occupied() -> ApiServer {
    let server = ApiServer::default();
    let mut theirs = config("theirs");
    theirs["metadata"]["labels"] = Value::Null;
    server.put(CONFIG, theirs, "helm");
    server
}

#[tokio::test]
async fn a_refused_write_is_sent_ever_more_rarely_and_said_all_the_time() {
    let server = occupied();
    let mut hands = hands(&server).await;
    let mut sent = Vec::new();
    for second in 0..120 {
        let (lines, done) = turn_at(after(second), &mut hands, &server, &redis("1")).await;
        let trouble = &done.outcomes[&ComponentId::Redis].trouble;
        assert!(matches!(trouble, Some(Trouble::Lasting(_))), "{done:?}");
        assert!(done.retry);
        if !lines.is_empty() {
            sent.push(second);
        }
    }
    // 0, 2, 6, 14, 30, 60 and 90, each pause a fifth shorter or longer.
    assert!((7..=8).contains(&sent.len()), "{sent:?}");
    assert!(hands.next_try(after(119)) > Some(after(119)));
}

#[tokio::test]
async fn what_is_to_be_written_anew_is_sent_at_once() {
    let server = occupied();
    let mut hands = hands(&server).await;
    let patched = [format!("PATCH {CONFIG}")];
    assert_eq!(turn(&mut hands, &server, &redis("1")).await.0, patched);
    assert!(turn(&mut hands, &server, &redis("1")).await.0.is_empty());
    assert_eq!(turn(&mut hands, &server, &redis("2")).await.0, patched);
}

#[tokio::test]
async fn a_silent_server_is_not_asked_for_the_next_object_instead() {
    let server = ApiServer::default();
    let mut hands = hands(&server).await;
    server.set_down(true);
    let desired = with_another();
    assert_eq!(turn(&mut hands, &server, &desired).await.0.len(), 1);
    let (lines, done) = turn_at(after(1), &mut hands, &server, &desired).await;
    assert_eq!(lines, Vec::<String>::new());
    let trouble = &done.outcomes[&ComponentId::Redis].trouble;
    assert!(matches!(trouble, Some(Trouble::Passing(_))), "{done:?}");
    server.set_down(false);
    let (_, done) = turn_at(after(3), &mut hands, &server, &desired).await;
    assert!(!done.retry, "{done:?}");
    assert_eq!(hands.next_try(after(3)), None);
}

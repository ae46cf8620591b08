use std::time::Duration;

use bytes::Bytes;

use super::kit::*;
use crate::{
    client::State,
    proto::{Refused, refused::Code},
    session::AgentSession,
};

#[tokio::test]
async fn objects_go_up_and_desired_objects_come_down() {
    let kit = Kit::start().await;
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    assert_eq!(kit.seen("west", |seen| seen.objects.len()), 3);
    assert!(agent.local.objects.lock().unwrap().is_none());
    kit.memory.desired.send_replace(Some(objects(2)));
    eventually("desired objects arrive", || {
        agent
            .local
            .objects
            .lock()
            .unwrap()
            .as_ref()
            .is_some_and(|objects| objects.len() == 2)
    })
    .await;
    agent.observed.send_modify(|source| {
        source
            .as_mut()
            .unwrap()
            .set(key(7), Bytes::from_static(b"{}"));
    });
    eventually("a change arrives as a change", || {
        kit.seen("west", |seen| (seen.objects.len(), seen.fulls) == (4, 1))
    })
    .await;
}

#[tokio::test]
async fn two_agents_of_one_cluster_are_served_by_the_order_they_started_in() {
    let kit = Kit::start().await;
    let mut old = kit.agent("west", "old", 1);
    old.warmed().await;
    let mut new = kit.agent("west", "new", 2);
    new.warmed().await;
    let status = old
        .wait("fenced", |status| status.state == State::Fenced)
        .await;
    assert!(status.last_error.unwrap().contains("\"new\""));
    // One that comes back from a partition changes nothing.
    let mut late = kit.agent("west", "late", 1);
    late.wait("fenced", |status| status.state == State::Fenced)
        .await;
    assert!(new.status.borrow().warmed);
    let closed = kit.seen("west", |seen| seen.closed.len());
    assert_eq!(closed, 1, "only the old stream ended");
    let fenced = ("west".to_owned(), Code::Fenced);
    let refusals = kit.memory.refusals.lock().unwrap().clone();
    assert_eq!(refusals, [fenced.clone(), fenced]);
}

#[tokio::test]
async fn an_agent_whose_cluster_another_replica_serves_now_is_fenced_within_seconds() {
    let kit = Kit::start().await;
    let mut old = kit.agent("west", "old", 1);
    old.warmed().await;
    *kit.memory.elsewhere.lock().unwrap() = Some(Refused {
        code: Code::Fenced.into(),
        reason: "the agent \"new\" speaks for cluster west".to_owned(),
    });
    let status = old
        .wait("fenced", |status| status.state == State::Fenced)
        .await;
    assert!(status.last_error.unwrap().contains("\"new\""));
}

#[tokio::test]
async fn results_are_answered_with_their_turn() {
    let kit = Kit::start().await;
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    agent.results.send_modify(|results| results.turn = 9);
    eventually("settled", || *agent.local.settled.lock().unwrap() == 9).await;
}

#[tokio::test]
async fn a_stream_that_starts_over_sends_no_object_again() {
    let kit = Kit::start().await;
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    agent
        .credentials
        .send_replace(Some(kit.credentials("west")));
    kit.memory.end.send_replace(Some(Refused {
        code: Code::Closing.into(),
        reason: "elsewhere".to_owned(),
    }));
    eventually("closed", || {
        kit.seen("west", |seen| !seen.closed.is_empty())
    })
    .await;
    kit.memory.end.send_replace(None);
    agent.warmed().await;
    let (fulls, objects) = kit.seen("west", |seen| (seen.fulls, seen.objects.len()));
    assert_eq!((fulls, objects), (1, 3));
}

#[tokio::test]
async fn revoked_and_unknown_clusters_are_refused_with_a_reason() {
    let kit = Kit::start().await;
    let mut stranger = kit.agent("stranger", "one", 1);
    let status = stranger
        .wait("refused", |status| status.state == State::Refused)
        .await;
    assert!(
        status
            .last_error
            .unwrap()
            .contains("gloonet cluster register stranger")
    );
    *kit.memory.epoch.lock().unwrap() = 1;
    let mut revoked = kit.agent("west", "one", 1);
    let status = revoked
        .wait("refused", |status| status.state == State::Refused)
        .await;
    assert!(status.last_error.unwrap().contains("revoked"));
    assert!(kit.seen("west", |seen| seen.objects.is_empty()));
    let refusals = kit.memory.refusals.lock().unwrap();
    for refused in [("stranger", Code::UnknownCluster), ("west", Code::Revoked)] {
        let refused = (refused.0.to_owned(), refused.1);
        assert!(refusals.contains(&refused), "{refusals:?}");
    }
}

#[tokio::test]
async fn a_cluster_that_would_fill_the_memory_keeps_what_it_said_and_no_other_notices() {
    let kit = Kit::start().await;
    let mut hog = kit.agent("west", "one", 1);
    hog.warmed().await;
    hog.observed.send_modify(|source| {
        let source = source.as_mut().unwrap();
        for number in 0..40 {
            source.set(key(100 + number), Bytes::from(vec![b'x'; 1 << 20]));
        }
    });
    let status = hog
        .wait("no room", |status| status.state == State::Waiting)
        .await;
    let said = status.last_error.unwrap();
    for word in ["Full", "cluster west", "stays in force", "limits.memory"] {
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(kit.seen("west", |seen| seen.objects.len()), 3);
    assert!(kit.memory.room.uses().values().all(|one| one.arriving == 0));
    let other = kit.agent("east", "one", 1);
    other.observed.send_modify(|source| {
        let source = source.as_mut().unwrap();
        for number in 0..4 {
            source.set(key(100 + number), Bytes::from(vec![b'x'; 1 << 20]));
        }
    });
    eventually("the other is served", || {
        kit.seen("east", |seen| seen.objects.len()) == 7
    })
    .await;
}

#[tokio::test]
async fn a_certificate_of_seconds_ends_its_stream_and_a_new_one_goes_on() {
    let kit = Kit::with(super::super::Limits::default(), Duration::from_secs(3)).await;
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        agent
            .credentials
            .send_replace(Some(kit.credentials("west")));
    }
    agent.warmed().await;
    let (fulls, closed) = kit.seen("west", |seen| (seen.fulls, seen.closed.len()));
    assert_eq!(fulls, 1, "no snapshot is lost over {closed} certificates");
    assert!(closed > 0);
}

#[tokio::test]
async fn a_server_that_ends_tells_its_agents() {
    let kit = Kit::start().await;
    let mut agent = kit.agent("west", "one", 1);
    agent.warmed().await;
    kit.closing.cancel();
    let status = agent
        .wait("waiting", |status| status.state == State::Waiting)
        .await;
    assert!(status.last_error.unwrap().contains("Closing"));
}

#[test]
fn an_agent_session_can_be_moved_between_threads() {
    fn sends<T: Send>() {}
    sends::<AgentSession>();
}

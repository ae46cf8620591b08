use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response, StatusCode};
use kube::client::Body;
use serde_json::json;

use super::*;

/// What a server does about a request.
enum Does {
    /// With the Lease of `one`, after this time.
    Answers(Duration),
    HasNoTime,
    Hangs,
}

/// When each request came.
type Came = Arc<Mutex<Vec<Instant>>>;

/// An API server that treats each request by its number.
fn server(does: impl Fn(usize) -> Does + Send + 'static) -> (Election, Came) {
    let came = Came::default();
    let log = came.clone();
    let service = tower::service_fn(move |_: Request<Body>| {
        let mut log = log.lock().unwrap();
        let does = does(log.len());
        log.push(Instant::now());
        async move {
            let (code, body) = match does {
                Does::Answers(after) => {
                    sleep(after).await;
                    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "x"}, "spec": {"holderIdentity": "one"}});
                    (StatusCode::OK, lease)
                }
                Does::HasNoTime => {
                    let status = json!({"kind": "Status", "status": "Failure", "code": 429, "reason": "TooManyRequests"});
                    (StatusCode::TOO_MANY_REQUESTS, status)
                }
                Does::Hangs => std::future::pending().await,
            };
            let mut answer = Response::new(Body::from(body.to_string().into_bytes()));
            *answer.status_mut() = code;
            Ok::<_, Infallible>(answer)
        }
    });
    let client = Client::new(service, "default");
    (Election::new(client, "default", "x", "one"), came)
}

/// Whether the right to work is kept for a minute by a server that has after its first `good` answers no time for `busy`
/// requests.
async fn keeps(good: usize, busy: usize) -> bool {
    let (election, came) = server(move |number| {
        if (good..good + busy).contains(&number) {
            Does::HasNoTime
        } else {
            Does::Answers(Duration::ZERO)
        }
    });
    let lost = timeout(Duration::from_mins(1), election.keep(Instant::now())).await;
    assert!(came.lock().unwrap().len() > good);
    lost.is_err()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_no_time_for_some_seconds_costs_nobody_the_lease() {
    assert!(keeps(4, 0).await);
    assert!(keeps(4, 7).await);
    assert!(!keeps(4, 1000).await);
}

#[tokio::test(start_paused = true)]
async fn work_ends_before_the_lease_does_also_when_the_last_renewal_was_slow_and_the_next_hangs() {
    let slow = Duration::from_millis(1400);
    // The first answer is to the look, the others are to renewals.
    let (election, came) = server(move |number| match number {
        0..4 => Does::Answers(slow),
        _ => Does::Hangs,
    });
    let lost = election.keep(Instant::now()).await;
    assert!(matches!(lost, ElectionError::Lost { .. }), "{lost}");
    let renewed = came.lock().unwrap()[3];
    assert_eq!(renewed.elapsed(), GIVE_UP);
}

#[tokio::test(start_paused = true)]
async fn the_right_to_work_counts_from_before_it_was_asked_for() {
    let (election, came) = server(|_| Does::Answers(Duration::from_secs(1)));
    let since = election.win(|| {}).await;
    assert_eq!(since, came.lock().unwrap()[0]);
    assert_eq!(since.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_try_that_hangs_is_followed_by_another() {
    let (election, came) = server(|number| match number {
        0 => Does::Hangs,
        _ => Does::Answers(Duration::ZERO),
    });
    let won = timeout(Duration::from_mins(1), election.win(|| {}));
    assert_eq!(won.await.unwrap(), came.lock().unwrap()[1]);
}

#[tokio::test(start_paused = true)]
async fn what_was_won_long_ago_and_never_renewed_is_lost_at_its_own_time() {
    let (election, _came) = server(|_| Does::Hangs);
    let since = Instant::now();
    sleep(Duration::from_secs(7)).await;
    election.keep(since).await;
    assert_eq!(since.elapsed(), GIVE_UP);
}

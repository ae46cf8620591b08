use super::*;
use crate::silent;

#[tokio::test(start_paused = true)]
async fn a_write_nobody_answers_fails_in_time() {
    let (client, _) = silent::client();
    let leading = watch::Sender::new(Some(Instant::now() + Duration::from_hours(1)));
    let writer = Writer::new(client, leading.subscribe(), "one");
    let node = "worker-1".to_owned();
    let write = Write::NetworkAvailable { node };
    let outcome = timeout(2 * LIMIT, writer.carry_out(&write)).await.unwrap();
    assert!(matches!(outcome, Outcome::Failed(WriteError::Timeout)));
}

//! An orderly end.

use std::time::Duration;

use tokio::task::JoinSet;

/// Waits until all tasks have ended, but no longer than `grace`.
pub async fn end(mut tasks: JoinSet<()>, grace: Duration) {
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, ended).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
}

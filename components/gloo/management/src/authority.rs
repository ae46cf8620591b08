//! The authority that signs agents' certificates, which somebody may make anew.

use std::{path::PathBuf, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How soon another authority is noticed.
const LOOK: Duration = Duration::from_secs(5);

/// Ends the process when the authority's files are no longer `read`: certificates of the one before are worth nothing now, and
/// the kubelet starts this program again with the new one. Agents lose their streams and come back, as after any restart.
pub async fn watch(files: [PathBuf; 2], read: [String; 2], closing: CancellationToken) {
    while closing.run_until_cancelled(sleep(LOOK)).await.is_some() {
        let now = files.each_ref().map(std::fs::read_to_string);
        // A file that cannot be read is in the middle of being replaced.
        let [Ok(certificate), Ok(key)] = now else {
            continue;
        };
        if [certificate, key] != read {
            tracing::warn!("the relay has another authority; starting again with it");
            closing.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn another_authority_ends_the_process_and_the_same_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
        let read = ["certificate".to_owned(), "key".to_owned()];
        for (file, text) in files.iter().zip(&read) {
            std::fs::write(file, text).unwrap();
        }
        let closing = CancellationToken::new();
        let task = tokio::spawn(watch(files.clone(), read, closing.clone()));
        sleep(10 * LOOK).await;
        assert!(!closing.is_cancelled());
        std::fs::write(&files[0], "another").unwrap();
        sleep(2 * LOOK).await;
        assert!(closing.is_cancelled());
        task.await.unwrap();
    }
}

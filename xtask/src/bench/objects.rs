//! Many objects at the API server: made and taken away side by side, with patience, and a word now and then of how far it is.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, stream};
use kube::api::{Api, DeleteParams, ListParams, PartialObjectMeta, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Requests at the same time.
const AT_ONCE: usize = 16;
const WORD: Duration = Duration::from_secs(10);
/// Before a write is tried again. After the last one it has failed.
const AGAIN: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
];
/// What is not gone by then is held by somebody.
const GONE: Duration = Duration::from_mins(15);
const LOOK: Duration = Duration::from_secs(1);

/// Does all of it; the first failure ends it.
pub async fn all<W>(what: &str, work: impl ExactSizeIterator<Item = W>) -> Result<()>
where
    W: Future<Output = Result<()>>,
{
    let total = work.len();
    let mut running = stream::iter(work).buffer_unordered(AT_ONCE);
    let mut said = Instant::now();
    let mut done = 0;
    while let Some(one) = running.next().await {
        one?;
        done += 1;
        if said.elapsed() >= WORD {
            eprintln!("… {what}: {done} of {total}");
            said = Instant::now();
        }
    }
    Ok(())
}

/// What a run left behind that was broken off is as good.
pub async fn create<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    let mut waits = AGAIN.into_iter();
    loop {
        let error = match api.create(&PostParams::default(), object).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(()),
            Err(error) => error,
        };
        match waits.next() {
            Some(wait) if passes_by(&error) => tokio::time::sleep(wait).await,
            _ => return Err(error).context("write to the API server"),
        }
    }
}

/// Takes these away until none is left: a deletion that was not taken is asked for again, and one that takes its time is waited for.
///
/// One by one, since a deletion of a whole collection has a minute like any other request, and ten thousand objects take longer.
pub async fn sweep<K>(what: &str, api: &Api<K>, these: &ListParams) -> Result<()>
where
    K: Clone + Debug + DeserializeOwned,
{
    let begun = Instant::now();
    loop {
        let found = match api.list_metadata(these).await {
            Ok(found) => found.items,
            Err(error) if passes_by(&error) && begun.elapsed() < GONE => {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("list {what}")),
        };
        if found.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(
            begun.elapsed() < GONE,
            "{} {what} are not gone after {GONE:?}",
            found.len()
        );
        let names = staying(&found);
        if !names.is_empty() {
            eprintln!("… taking away {} {what}", names.len());
        }
        all(what, names.into_iter().map(|name| delete(api, name))).await?;
        tokio::time::sleep(LOOK).await;
    }
}

/// Those whose deletion nobody asked for yet.
fn staying<K>(found: &[PartialObjectMeta<K>]) -> Vec<&str> {
    found
        .iter()
        .filter(|object| object.metadata.deletion_timestamp.is_none())
        .filter_map(|object| object.metadata.name.as_deref())
        .collect()
}

async fn delete<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Clone + Debug + DeserializeOwned,
{
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) if passes_by(&error) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("delete {name}")),
    }
}

/// A server that is too busy, that is away, or a connection that broke.
fn passes_by(error: &kube::Error) -> bool {
    use kube::Error::{Api, HyperError, ReadEvents, Service};
    match error {
        Api(status) => status.code == 429 || status.code >= 500,
        other => matches!(other, HyperError(_) | Service(_) | ReadEvents(_)),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    fn refusal(code: u16) -> kube::Error {
        let status = json!({"status": "Failure", "message": "", "reason": "", "code": code});
        kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn a_busy_server_is_asked_again_and_one_that_forbids_is_not() {
        let again: Vec<bool> = [429, 500, 503, 504, 400, 403, 404, 422]
            .map(|code| passes_by(&refusal(code)))
            .into();
        let wanted = [true, true, true, true, false, false, false, false];
        assert_eq!(again, wanted);
    }

    #[test]
    fn what_is_being_deleted_is_waited_for_and_not_deleted_again() {
        let found: Vec<PartialObjectMeta<ConfigMap>> = serde_json::from_value(json!([
            {"metadata": {"name": "stays"}},
            {"metadata": {"name": "goes", "deletionTimestamp": "2026-11-30T02:00:00Z"}},
        ]))
        .unwrap();
        assert_eq!(staying(&found), ["stays"]);
    }

    #[tokio::test]
    async fn all_of_it_is_done_and_a_failure_is_not_lost_among_the_others() {
        let work = (0..100).map(|number| async move {
            anyhow::ensure!(number != 57, "number {number}");
            Ok(())
        });
        let error = all("numbers", work).await.unwrap_err().to_string();
        assert_eq!(error, "number 57");
        let done = std::cell::Cell::new(0);
        let work = (0..100).map(|_| async {
            done.set(done.get() + 1);
            Ok(())
        });
        all("numbers", work).await.unwrap();
        assert_eq!(done.get(), 100);
    }
}

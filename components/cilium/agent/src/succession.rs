//! Taking the place of a datapath whose maps have another layout: after an upgrade, or a way back.
//!
//! The running programs keep what they have while this agent fills its own maps; only then its programs replace them. Without that, a
//! node would have no pods, policies and Services from the replacement until the API server has told them again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use datapath::Datapath;
use tokio::sync::watch;

use crate::agent::blocking;
use crate::run::RunError;

/// Who fills maps; each says when everything it knows is in them.
pub const PARTS: [&str; 3] = ["network", "policy", "services"];

/// After everything is known, what cannot be written does not hold up the rest: it is reported, and tried again for ever.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// Returns when packets go through this datapath. While the API server is away that is not: what runs is right, and new pods cannot
/// come.
pub async fn take_over(
    datapath: Arc<dyn Datapath>,
    synced: impl Fn() -> bool,
    mut filled: watch::Receiver<BTreeSet<&'static str>>,
) -> Result<(), RunError> {
    while !synced() {
        tokio::time::sleep(LOOK).await;
    }
    let all = filled.wait_for(|filled| PARTS.iter().all(|part| filled.contains(part)));
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        let missing: Vec<&str> = (PARTS.into_iter())
            .filter(|part| !filled.borrow().contains(part))
            .collect();
        tracing::warn!(
            ?missing,
            "The running datapath is replaced although not everything could be written"
        );
    }
    tracing::info!("Maps are filled; the running datapath is replaced");
    blocking(move || datapath.activate())
        .await
        .ok_or(RunError::Part("replacing the running datapath"))?
        .map_err(RunError::Datapath)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use datapath::Fake;

    use super::*;

    struct Beside {
        fake: Arc<Fake>,
        synced: Arc<AtomicBool>,
        filled: watch::Sender<BTreeSet<&'static str>>,
        work: tokio::task::JoinHandle<Result<(), RunError>>,
    }

    fn beside() -> Beside {
        let fake = Arc::new(Fake::new());
        fake.wait_for_activation();
        let synced = Arc::new(AtomicBool::new(false));
        let filled = watch::Sender::new(BTreeSet::new());
        let known = synced.clone();
        let work = tokio::spawn(take_over(
            fake.clone(),
            move || known.load(Ordering::Relaxed),
            filled.subscribe(),
        ));
        Beside {
            fake,
            synced,
            filled,
            work,
        }
    }

    fn fill(beside: &Beside, parts: &[&'static str]) {
        beside.filled.send_modify(|filled| filled.extend(parts));
    }

    #[tokio::test(start_paused = true)]
    async fn the_running_datapath_is_replaced_when_everything_is_written_and_not_before() {
        let beside = beside();
        beside.synced.store(true, Ordering::Relaxed);
        fill(&beside, &["network", "policy"]);
        tokio::time::sleep(PATIENCE / 2).await;
        assert!(!beside.fake.is_active());
        fill(&beside, &["services"]);
        beside.work.await.unwrap().unwrap();
        assert!(beside.fake.is_active());
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_api_server_is_away_what_runs_goes_on() {
        let beside = beside();
        fill(&beside, &PARTS);
        tokio::time::sleep(PATIENCE * 100).await;
        assert!(!beside.fake.is_active());
        beside.synced.store(true, Ordering::Relaxed);
        beside.work.await.unwrap().unwrap();
        assert!(beside.fake.is_active());
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_never_be_written_holds_up_nothing() {
        let beside = beside();
        beside.synced.store(true, Ordering::Relaxed);
        fill(&beside, &["network", "policy"]);
        tokio::time::timeout(PATIENCE * 2, beside.work)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert!(beside.fake.is_active());
    }
}

//! Runs each analyzer at its interval, within its time, and apart from the others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use gloo_record::{Analyzer, Outcome, Record, Report, SCHEMA};
use jiff::Timestamp;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    analyzers,
    emit::Emitter,
    metrics::Metrics,
    reader::{AnalyzeError, Reader},
};

/// What became of the last runs.
#[derive(Debug, Default)]
pub struct Runs(Mutex<BTreeMap<Analyzer, Last>>);

/// The last run of an analyzer.
#[derive(Clone, Debug)]
pub struct Last {
    pub ended: Instant,
    pub interval: Duration,
    pub failed: Option<String>,
    /// Why its report did not leave.
    pub unsent: Option<String>,
}

impl Runs {
    pub fn all(&self) -> BTreeMap<Analyzer, Last> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }

    fn set(&self, analyzer: Analyzer, last: Last) -> Option<Last> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(analyzer, last)
    }
}

/// What every analyzer's task needs.
#[derive(Clone, Debug)]
pub struct Parts {
    pub reader: Arc<Reader>,
    pub emitter: Arc<Emitter>,
    pub metrics: Arc<Metrics>,
    pub runs: Arc<Runs>,
}

/// Starts a task for each analyzer; they end with `closing`.
pub fn start(parts: &Parts, closing: &CancellationToken, tasks: &mut JoinSet<()>) {
    for analyzer in Analyzer::ALL {
        let (parts, closing) = (parts.clone(), closing.clone());
        tasks.spawn(async move {
            let _ = closing.run_until_cancelled(repeat(analyzer, parts)).await;
        });
    }
}

async fn repeat(analyzer: Analyzer, parts: Parts) {
    let seconds = parts.reader.args.interval * analyzers::every(analyzer);
    let interval = Duration::from_secs(u64::from(seconds));
    // Not all at once, neither here nor in a hundred clusters that started together.
    sleep(Duration::from_secs(3).mul_f64(rand::random())).await;
    loop {
        let begun = Instant::now();
        let reader = parts.reader.clone();
        let work = async move { analyzers::run(analyzer, &reader).await };
        let outcome = once(work, interval).await;
        let failed = match &outcome {
            Outcome::Found(_) => None,
            Outcome::Failed(why) => Some(why.clone()),
        };
        parts
            .metrics
            .ran(analyzer, begun.elapsed(), failed.is_some());
        let report = report(analyzer, outcome, seconds);
        let unsent = parts.emitter.send(&report).await.err();
        let unsent = unsent.map(|error| gloonet_daemon::error::chain(&error));
        if unsent.is_some() {
            parts.metrics.unsent(analyzer);
        }
        let last = Last {
            ended: Instant::now(),
            interval,
            failed,
            unsent,
        };
        say(
            analyzer,
            &last,
            parts.runs.set(analyzer, last.clone()).as_ref(),
        );
        let rest = interval.saturating_sub(begun.elapsed());
        sleep(rest.mul_f64(0.9 + 0.2 * rand::random::<f64>())).await;
    }
}

/// A panic or an endless wait ends this run and nothing else.
async fn once(
    work: impl Future<Output = Result<Record, AnalyzeError>> + Send + 'static,
    limit: Duration,
) -> Outcome {
    let run = tokio::spawn(work);
    let stop = run.abort_handle();
    match tokio::time::timeout(limit, run).await {
        Ok(Ok(found)) => outcome(found),
        Ok(Err(panic)) => Outcome::Failed(format!("it ended in the middle: {panic}")),
        Err(_) => {
            stop.abort();
            Outcome::Failed(format!("it took more than {} s", limit.as_secs()))
        }
    }
}

fn outcome(found: Result<Record, AnalyzeError>) -> Outcome {
    match found {
        Ok(record) => Outcome::Found(record),
        Err(error) => Outcome::Failed(gloonet_daemon::error::chain(&error)),
    }
}

fn report(analyzer: Analyzer, outcome: Outcome, interval: u32) -> Report {
    Report {
        schema: SCHEMA,
        run: format!("{:016x}", rand::random::<u64>()),
        taken: Timestamp::now(),
        interval,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        analyzer,
        outcome,
    }
}

/// Once per change, not once per run.
fn say(analyzer: Analyzer, now: &Last, before: Option<&Last>) {
    let troubles = |last: &Last| (last.failed.is_some(), last.unsent.is_some());
    if before.map(troubles) == Some(troubles(now)) {
        return;
    }
    match (&now.failed, &now.unsent) {
        (_, Some(reason)) => tracing::warn!(%analyzer, reason, "the report did not leave"),
        (Some(reason), None) => tracing::warn!(%analyzer, reason, "the analyzer found nothing"),
        (None, None) => tracing::info!(%analyzer, "reported"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_reported_as_the_analyzers_own_failure() {
        let failed = outcome(Err(AnalyzeError::Other("pods is forbidden".to_owned())));
        assert_eq!(failed, Outcome::Failed("pods is forbidden".to_owned()));
        let (one, other) = (
            report(Analyzer::Nodes, failed.clone(), 20),
            report(Analyzer::Nodes, failed, 20),
        );
        assert_ne!(one.run, other.run);
    }

    const LIMIT: Duration = Duration::from_secs(20);

    fn failure(outcome: Outcome) -> String {
        match outcome {
            Outcome::Failed(why) => why,
            Outcome::Found(record) => panic!("{record:?}"),
        }
    }

    #[tokio::test]
    async fn a_panic_is_the_failure_of_the_one_that_panicked() {
        let broken = once(async { panic!("a list without an end") }, LIMIT);
        let sound = once(
            async { Err(AnalyzeError::Other("looked".to_owned())) },
            LIMIT,
        );
        let (broken, sound) = tokio::join!(broken, sound);
        let broken = failure(broken);
        assert!(broken.starts_with("it ended in the middle"), "{broken}");
        assert_eq!(failure(sound), "looked");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_end_is_ended_at_its_limit_and_holds_nobody_up() {
        let (dropped, gone) = tokio::sync::oneshot::channel::<()>();
        let endless = once(
            async move {
                let _held = dropped;
                std::future::pending().await
            },
            LIMIT,
        );
        let begun = tokio::time::Instant::now();
        let other = async {
            let work = async { Err(AnalyzeError::Other("looked".to_owned())) };
            (failure(once(work, LIMIT).await), begun.elapsed())
        };
        let (endless, (said, after)) = tokio::join!(endless, other);
        assert_eq!(failure(endless), "it took more than 20 s");
        assert_eq!(begun.elapsed(), LIMIT);
        assert_eq!((said.as_str(), after), ("looked", Duration::ZERO));
        // What it held is let go of, or a connection would be left behind every time.
        assert!(gone.await.is_err());
    }
}

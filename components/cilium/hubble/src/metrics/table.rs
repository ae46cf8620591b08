//! The series of one metric.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cilium_api::hubble_metrics::End;

use super::{Pod, Row, Seen};

/// Series that are counted apart.
pub const SERIES: usize = 10_000;
/// How long series outlive their pod, so that whoever reads now and then sees their last count.
pub const KEPT: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
struct Counts {
    series: HashMap<Vec<String>, Series>,
    uncounted: u64,
}

#[derive(Debug)]
struct Series {
    count: u64,
    /// Whom its labels name.
    pods: Vec<Pod>,
    /// Ends its labels name where no pod has been seen yet: an address may be known before its pod.
    others: Vec<End>,
    /// When one of them was first found gone.
    gone: Option<Instant>,
}

impl Series {
    fn new(named: Vec<End>) -> Self {
        Self {
            count: 0,
            pods: Vec::new(),
            others: named,
            gone: None,
        }
    }

    fn count(&mut self, seen: &Seen<'_>) {
        self.count += 1;
        let pods = &mut self.pods;
        self.others.retain(|end| {
            let pod = seen.pod(*end);
            let is_other = pod.is_none();
            pods.extend(pod);
            is_other
        });
    }
}

#[derive(Debug, Default)]
pub(super) struct Table(Mutex<Counts>);

impl Table {
    pub(super) fn count(&self, row: Row, seen: &Seen<'_>) {
        let mut counts = self.lock();
        if let Some(series) = counts.series.get_mut(&row.labels) {
            series.count(seen);
        } else if counts.series.len() < SERIES {
            let series = counts.series.entry(row.labels);
            series.or_insert(Series::new(row.named)).count(seen);
        } else {
            counts.uncounted += 1;
        }
    }

    pub(super) fn list(&self) -> Vec<(Vec<String>, u64)> {
        let counts = self.lock();
        let all = counts.series.iter();
        let mut list: Vec<_> = all
            .map(|(labels, series)| (labels.clone(), series.count))
            .collect();
        drop(counts);
        list.sort();
        list
    }

    pub(super) fn uncounted(&self) -> u64 {
        self.lock().uncounted
    }

    pub(super) fn forget(&self, now: Instant, is_there: &dyn Fn(&Pod) -> bool) {
        self.lock().series.retain(|_, series| {
            if series.pods.iter().all(is_there) {
                series.gone = None;
                return true;
            }
            let since = *series.gone.get_or_insert(now);
            now.saturating_duration_since(since) < KEPT
        });
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

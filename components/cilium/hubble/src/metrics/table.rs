//! The series of one metric.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

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
    /// When one of them was first found gone.
    gone: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Table(Mutex<Counts>);

impl Table {
    pub(super) fn count(&self, row: Row, seen: &Seen<'_>) {
        let mut counts = self.lock();
        if let Some(series) = counts.series.get_mut(&row.labels) {
            series.count += 1;
        } else if counts.series.len() < SERIES {
            let ends = row.named.into_iter();
            let pods = ends.filter_map(|end| seen.pod(end)).collect();
            let series = Series {
                count: 1,
                pods,
                gone: None,
            };
            counts.series.insert(row.labels, series);
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

//! How many errors and warnings a program wrote, by the module that wrote them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Level and module, both of the program's text: there are as many as that has.
type Written = BTreeMap<(&'static str, &'static str), u64>;

/// Of the whole process, as its log is.
static WRITTEN: Mutex<Written> = Mutex::new(Written::new());

/// Errors and warnings since the program started. Levels are called `error` and `warning`.
#[must_use]
pub fn written() -> Vec<(&'static str, &'static str, u64)> {
    let written = lock();
    let rows = written.iter();
    rows.map(|((level, module), number)| (*level, *module, *number))
        .collect()
}

fn lock() -> MutexGuard<'static, Written> {
    WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts what the layers around it let through.
#[derive(Debug)]
pub(crate) struct Counting;

impl<S: Subscriber> Layer<S> for Counting {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        let level = match *about.level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            _ => return,
        };
        *lock().entry((level, about.target())).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn errors_and_warnings_are_counted_by_module_and_what_is_not_written_is_not() {
        let filter = EnvFilter::new("off,counted=info");
        let log = tracing_subscriber::registry().with(filter).with(Counting);
        tracing::subscriber::with_default(log, || {
            tracing::error!(target: "counted::one", "broken");
            tracing::warn!(target: "counted::one", "odd");
            tracing::warn!(target: "counted::one", "odd again");
            tracing::warn!(target: "counted::two", "odd");
            tracing::info!(target: "counted::two", "fine");
            tracing::error!(target: "silent", "nobody reads it");
        });
        let found: Vec<_> = written().into_iter().collect();
        let ours = |row: &&(&str, &str, u64)| row.1.starts_with("counted") || row.1 == "silent";
        let found: Vec<_> = found.iter().filter(ours).copied().collect();
        let expected = [
            ("error", "counted::one", 1),
            ("warning", "counted::one", 2),
            ("warning", "counted::two", 1),
        ];
        assert_eq!(found, expected);
    }
}

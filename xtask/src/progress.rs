//! What a person sees while a task runs: the step, how long it usually takes, how long it has taken.

use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal, stderr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::home;

/// Without a terminal a running step says so this often.
const HEARTBEAT: Duration = Duration::from_mins(1);

/// Steps may run side by side; one screen keeps their lines apart.
static SCREEN: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// One step of a task, on screen from `start` to `done`. Dropped without `done`, it is shown as failed.
#[derive(Debug)]
pub struct Step {
    name: String,
    started: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
    closed: bool,
}

impl Step {
    /// Shows the step. `usual` is the time to expect until this machine has measured one of its own.
    pub fn start(name: &str, what: &str, usual: Duration) -> Self {
        let usual = remembered(name).unwrap_or(usual);
        let title = format!("{name}: {what} (usually {})", human(usual));
        let bar = if stderr().is_terminal() {
            let bar = SCREEN.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(title);
            Some(bar)
        } else {
            eprintln!("… {title}");
            None
        };
        let now = Instant::now();
        Self {
            name: name.to_owned(),
            started: now,
            said: now,
            bar,
            closed: false,
        }
    }

    /// Keeps the display alive; call it a few times a second.
    pub fn tick(&mut self) {
        match &self.bar {
            Some(bar) => bar.tick(),
            None if self.said.elapsed() >= HEARTBEAT => {
                self.said = Instant::now();
                eprintln!(
                    "… {}: still at it after {}",
                    self.name,
                    human(self.started.elapsed())
                );
            }
            None => {}
        }
    }

    /// Closes the step and remembers its time as this machine's usual one.
    pub fn done(mut self) -> Duration {
        let took = self.started.elapsed();
        self.close('✓', took);
        remember(&self.name, took);
        took
    }

    fn close(&mut self, mark: char, took: Duration) {
        self.closed = true;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        SCREEN.suspend(|| eprintln!("{mark} {} {}", self.name, human(took)));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.closed {
            self.close('✗', self.started.elapsed());
        }
    }
}

/// `5 min 40 s`, `12 s`, `0.4 s`.
pub fn human(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 60 {
        format!("{} min {} s", seconds / 60, seconds % 60)
    } else if seconds >= 2 {
        format!("{seconds} s")
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

fn remembered(name: &str) -> Option<Duration> {
    times()
        .ok()?
        .get(name)
        .map(|seconds| Duration::from_secs_f64(*seconds))
}

/// Losing a remembered time costs nobody anything, so failures are not reported.
fn remember(name: &str, took: Duration) {
    let Ok(mut known) = times() else { return };
    known.insert(name.to_owned(), took.as_secs_f64());
    if let (Ok(folder), Ok(text)) = (home::cache(), serde_json::to_string_pretty(&known)) {
        let _unwritten = fs::write(folder.join("times.json"), text);
    }
}

fn times() -> Result<BTreeMap<String, f64>> {
    let path = home::cache()?.join("times.json");
    Ok(if path.exists() {
        serde_json::from_slice(&fs::read(path)?)?
    } else {
        BTreeMap::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_say_them() {
        assert_eq!(human(Duration::from_millis(430)), "0.4 s");
        assert_eq!(human(Duration::from_secs(12)), "12 s");
        assert_eq!(human(Duration::from_secs(340)), "5 min 40 s");
    }
}

//! Patience with a limit, which says at its end what it was waiting for and how far things were.

use std::{
    fmt::Display,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

const POLL: Duration = Duration::from_millis(300);

/// How far something is.
#[derive(Debug)]
pub enum Progress<T> {
    /// There.
    Done(T),
    /// Not yet; how it looks now.
    NotYet(String),
}

impl<T> Progress<T> {
    /// Done when there is a value.
    pub fn of(value: Option<T>, otherwise: impl Display) -> Self {
        value.map_or_else(|| Self::NotYet(otherwise.to_string()), Self::Done)
    }
}

impl Progress<()> {
    /// Done when the condition holds.
    pub fn when(condition: bool, otherwise: impl Display) -> Self {
        Self::of(condition.then_some(()), otherwise)
    }
}

/// Asks again and again until it is done. An error of `look` counts as "not yet": the API server may be away.
pub async fn until<T, F>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Progress<T>>>,
{
    let start = Instant::now();
    loop {
        // A look takes its time: the last one begins when the limit is over.
        let over = start.elapsed() >= limit;
        let last = match look().await {
            Ok(Progress::Done(value)) => return Ok(value),
            Ok(Progress::NotYet(how)) => how,
            Err(error) => format!("{error:#}"),
        };
        if over {
            bail!("{what}: not after {} s; last seen: {last}", limit.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

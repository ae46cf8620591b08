//! Spans of time on the command line.

use std::time::Duration;

/// Reads for example `90s`, `5m` or `1h`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("{text:?} is not a duration; write for example 90s, 5m or 1h"))?;
    Duration::try_from(span).map_err(|_| format!("{text:?} is negative"))
}

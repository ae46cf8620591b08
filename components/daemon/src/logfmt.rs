//! Log lines as Cilium writes them: `time=… level=… msg="…" key=value`.
//!
//! cilium-cli's `check-log-errors` greps for exactly this form; with another it would pass whatever happened.

use std::fmt;

use jiff::Timestamp;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

#[derive(Debug)]
pub(crate) struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
        write!(
            out,
            "time={now} level={} msg={}",
            level(*event.metadata().level()),
            quote(&line.message)
        )?;
        for (key, value) in &line.fields {
            write!(out, " {key}={}", quote(value))?;
        }
        writeln!(out)
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

/// Quotes what a reader would otherwise split; control characters are escaped, so that a name cannot forge a line.
fn quote(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\'));
    if plain {
        text.to_owned()
    } else {
        format!("\"{}\"", text.escape_debug())
    }
}

#[derive(Debug, Default)]
struct Line {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Line {
    fn set(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            // Lines of the `log` crate carry where they come from under such names.
            name if name.starts_with("log.") => {}
            name => self.fields.push((name, value)),
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_when_a_reader_would_split_them() {
        let quoted: Vec<_> = [
            "worker-1",
            "10.244.0.0/24",
            "two words",
            "a=b",
            "",
            "say \"x\"",
        ]
        .map(quote)
        .into();
        assert_eq!(
            quoted,
            [
                "worker-1",
                "10.244.0.0/24",
                r#""two words""#,
                r#""a=b""#,
                r#""""#,
                r#""say \"x\"""#
            ]
        );
    }

    #[test]
    fn a_name_with_a_line_break_cannot_forge_a_line() {
        assert_eq!(
            quote("x\nlevel=error msg=forged"),
            r#""x\nlevel=error msg=forged""#
        );
    }
}

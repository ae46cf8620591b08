//! Log lines as Cilium writes them: `time=… level=… msg="…" subsys=… key=value`.
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
        let target = event.metadata().target();
        write!(
            out,
            "time={now} level={} msg={} subsys={}",
            level(*event.metadata().level()),
            quote(&line.message),
            quote(target.rsplit("::").next().unwrap_or(target)),
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
pub(crate) mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the work logs.
    pub(crate) fn logged(work: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Logfmt)
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_has_time_level_message_and_subsystem_first() {
        let line = logged(|| tracing::warn!(pod = "shop/web", id = 7, "Identity not known yet"));
        assert!(line.starts_with("time=20"), "{line}");
        assert!(
            line.contains("Z level=warn msg=\"Identity not known yet\" subsys=tests "),
            "{line}"
        );
        assert!(line.ends_with(" pod=shop/web id=7\n"), "{line}");
    }

    #[test]
    fn a_tenants_name_cannot_make_a_line_of_its_own() {
        let line = logged(|| tracing::info!(pod = "a\nlevel=error msg=x\u{1b}[31m", "Added"));
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
        assert!(
            line.ends_with("pod=\"a\\nlevel=error msg=x\\u{1b}[31m\"\n"),
            "{line}"
        );
    }

    #[test]
    fn values_are_quoted_when_a_reader_would_split_them() {
        let quoted = [
            "worker-1",
            "10.244.0.0/24",
            "two words",
            "a=b",
            "",
            "say \"x\"",
        ]
        .map(quote);
        let expected = [
            "worker-1",
            "10.244.0.0/24",
            r#""two words""#,
            r#""a=b""#,
            r#""""#,
            r#""say \"x\"""#,
        ];
        assert_eq!(quoted, expected);
    }
}

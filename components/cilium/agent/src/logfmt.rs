//! Logs as Cilium writes them, `time=… level=… msg="…"`, so that its tools (cilium-cli's log check) can judge ours.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Logs to standard error from now on, panics included.
pub fn start(debug: bool) {
    let level = if debug {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    };
    // The client logs each failed connection as an error; the watches say once what that means.
    let filter = tracing_subscriber::filter::Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("cilium_agent", level)
        .with_target("datapath", level)
        .with_target("kube_client", LevelFilter::OFF);
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Logfmt)
        .with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!("panic: {text} at {place}");
    }));
}

struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let subsystem = event
            .metadata()
            .target()
            .rsplit("::")
            .next()
            .unwrap_or_default();
        write!(
            writer,
            "time={} level={} msg={} subsys={subsystem}",
            jiff::Timestamp::now(),
            level(*event.metadata().level()),
            quoted(&line.message),
        )?;
        writeln!(writer, "{}", line.fields)
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

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn add(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            let _ = write!(self.fields, " {}={}", field.name(), quoted(value));
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

/// Names of pods come from tenants: a line break or an escape sequence in one must not become a line of the log.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_./:@+,".contains(&b));
    if plain {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

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

    fn logged(work: impl FnOnce()) -> String {
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
    fn a_line_has_time_level_and_message_first() {
        let line = logged(|| tracing::warn!(pod = "shop/web", id = 7, "Identity not known yet"));
        assert!(line.starts_with("time=20"), "{line}");
        assert!(
            line.contains(" level=warn msg=\"Identity not known yet\" "),
            "{line}"
        );
        assert!(line.ends_with(" pod=shop/web id=7\n"), "{line}");
    }

    #[test]
    fn a_tenants_name_cannot_make_a_line_of_its_own() {
        let line = logged(|| tracing::info!(pod = "a\nlevel=error msg=x\u{1b}[31m", "Added"));
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
}

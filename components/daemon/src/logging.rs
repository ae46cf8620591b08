//! Lines of log on standard error.

use std::panic;

use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::logfmt::Logfmt;
use crate::troubles::Counting;

/// Arguments about the log.
#[derive(Clone, Debug, clap::Args)]
pub struct Logging {
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// What is logged: a level, or tracing directives such as `info,kube=debug`.
    #[arg(
        long,
        value_name = "FILTER",
        env = "GLOONET_LOG",
        default_value = "info"
    )]
    pub log_level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For reading.
    Text,
    /// `time=… level=… msg="…"`, as Cilium's programs write.
    Logfmt,
}

impl Logging {
    /// Sends log lines to standard error from now on.
    pub fn start(&self) {
        let filter = EnvFilter::try_new(&self.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Json => lines.json().flatten_event(true).init(),
            LogFormat::Text => lines.init(),
            LogFormat::Logfmt => {
                lines.event_format(Logfmt).init();
                panics_as_lines();
            }
        }
    }
}

/// Logfmt of what the directives let through; for programs whose tools read nothing else. What is written as an error or a warning is
/// counted, see [`crate::troubles`]. A second start changes nothing.
pub fn start_logfmt(directives: &str) {
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .event_format(Logfmt);
    let started = tracing_subscriber::registry()
        .with(EnvFilter::new(directives))
        .with(lines)
        .with(Counting)
        .try_init();
    if started.is_ok() {
        panics_as_lines();
    }
}

/// As `level=error msg="panic: …"`.
fn panics_as_lines() {
    panic::set_hook(Box::new(|info| {
        tracing::error!("panic: {}", info.to_string().replace('\n', " "));
    }));
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;

    #[test]
    fn a_program_of_ciliums_can_be_told_to_write_as_its_judges_read() {
        let command = Logging::augment_args(Command::new("relay"));
        let matches = command.get_matches_from(["relay", "--log-format=logfmt"]);
        let logging = Logging::from_arg_matches(&matches).unwrap();
        assert_eq!(logging.log_format, LogFormat::Logfmt);
    }
}

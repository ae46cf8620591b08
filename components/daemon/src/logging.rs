//! Lines of log on standard error.

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt};

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
}

impl Logging {
    /// Sends log lines to standard error from now on.
    pub fn start(&self) {
        let filter = EnvFilter::try_new(&self.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Json => lines.json().flatten_event(true).init(),
            LogFormat::Text => lines.init(),
        }
    }
}

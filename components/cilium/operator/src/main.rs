//! Entry point of cilium-operator.

use std::process::ExitCode;

use cilium_operator::{args::Args, run};
use clap::Parser;
use gloonet_daemon::{error::chain, logging};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    logging::start_logfmt(&format!("warn,cilium_operator={}", args.log_level));
    match run::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(&error), "cilium-operator stops");
            ExitCode::FAILURE
        }
    }
}

//! Entry point of hubble-relay.

use std::process::ExitCode;

use clap::Parser;
use gloonet_daemon::error::chain;
use hubble_relay::{args::Args, run};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    args.logging.start();
    match run::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(&error), "hubble-relay stops");
            ExitCode::FAILURE
        }
    }
}

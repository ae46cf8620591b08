//! Entry point of redis-sink.

use std::process::ExitCode;

use clap::Parser;
use redis_sink::{args::Args, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    run::log(&args.log_level);
    match run::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(
                error = gloonet_daemon::error::chain(&error),
                "redis-sink stops"
            );
            ExitCode::FAILURE
        }
    }
}

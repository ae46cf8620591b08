//! Entry point of the operator.

use clap::Parser;
use gloonet_operator::{Arguments, run};

#[tokio::main(worker_threads = 2)]
async fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    arguments.logging.start();
    match run(arguments).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %gloonet_daemon::error::chain(&error), "the operator stops");
            std::process::ExitCode::FAILURE
        }
    }
}

//! Entry point of the operator.

use clap::Parser;
use gloonet_operator::{Arguments, run};

#[tokio::main(worker_threads = 2)]
async fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    arguments.start_logging();
    match run(arguments).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %gloonet_operator::sentence(&error), "the operator stops");
            std::process::ExitCode::FAILURE
        }
    }
}

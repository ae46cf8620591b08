//! Entry point of gloo-mesh-analyzer.

use std::process::ExitCode;

use clap::Parser;
use gloo_mesh_analyzer::{args::Args, run};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    args.logging.start();
    match run::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = anyhow::Error::new(error);
            tracing::error!(error = format!("{error:#}"), "gloo-mesh-analyzer stops");
            ExitCode::FAILURE
        }
    }
}

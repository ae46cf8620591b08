//! Entry point of gloo-mesh-insights.

use std::process::ExitCode;

use clap::Parser;
use gloo_mesh_insights::{args::Args, run};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    args.logging.start();
    match run::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = anyhow::Error::new(error);
            tracing::error!(error = format!("{error:#}"), "gloo-mesh-insights stops");
            ExitCode::FAILURE
        }
    }
}

//! `cilium-agent`, one per node.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use cilium_agent::{config::Arguments, run};
use cilium_cni::error::chain;
use clap::Parser as _;
use gloonet_daemon::logging;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The API server's certificate is checked by ring, the only provider this house links.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run::run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::start_logfmt(&run::log_filter(false));
            tracing::error!("{}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

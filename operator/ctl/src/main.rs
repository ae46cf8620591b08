//! Entry point of `gloonet`.

use std::process::ExitCode;

use clap::Parser;
use gloonet_ctl::{Arguments, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gloonet: {}", gloonet_ctl::sentence(&error));
            ExitCode::FAILURE
        }
    }
}

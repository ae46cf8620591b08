//! Entry point of `gloonet`.

use std::process::ExitCode;

use clap::Parser;
use gloonet_ctl::{Arguments, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gloonet: {}", gloonet_ctl::sentence(&error));
            error.code()
        }
    }
}

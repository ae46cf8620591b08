//! `gloonet-lab`: a real multi-node, multi-cluster Kubernetes on one machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    match gloonet_lab::cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gloonet-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

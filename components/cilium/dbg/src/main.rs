//! `cilium-dbg`, in the image also as `cilium`.
#![forbid(unsafe_code)]

use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

use cilium_cni::error::chain;
use cilium_dbg::{Arguments, run};
use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = BufWriter::new(std::io::stdout());
    let ran = run(&arguments, &mut out).await;
    // What was written before a failure is part of the answer.
    let ran = ran.and(out.flush().map_err(cilium_dbg::Error::Output));
    match ran {
        Err(error) if !error.is_closed_pipe() => {
            eprintln!("Error: {}", chain(&error));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

//! `cilium-dbg`, in the image also as `cilium` and as `cilium-health`.
#![forbid(unsafe_code)]

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use cilium_cni::error::chain;
use cilium_dbg::{Arguments, Error, cilium_health};
use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut out = BufWriter::new(std::io::stdout());
    let ran = run(&mut out).await;
    // What was written before a failure is part of the answer.
    let ran = ran.and(out.flush().map_err(Error::Output));
    match ran {
        Err(error) if !error.is_closed_pipe() => {
            eprintln!("Error: {}", chain(&error));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// By the name it was called by.
async fn run(out: &mut dyn Write) -> Result<(), Error> {
    let called = std::env::args_os().next().map(PathBuf::from);
    if called.is_some_and(|path| path.ends_with(cilium_health::NAME)) {
        cilium_health::run(&cilium_health::Arguments::parse(), out).await
    } else {
        cilium_dbg::run(&Arguments::parse(), out).await
    }
}

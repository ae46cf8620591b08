//! `cilium-cni`: called by the container runtime with `CNI_COMMAND`, or by an init container as `cilium-cni install`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use cilium_cni::{error, install, plugin};
use clap::Parser;

#[derive(Parser)]
#[command(version, about = install::ABOUT)]
enum Command {
    /// Put the plugin and its configuration on a node.
    Install(install::InstallArguments),
}

fn main() -> ExitCode {
    let succeeded = if std::env::args_os().len() > 1 {
        install_here(Command::parse())
    } else {
        plugin::run(
            &|name| std::env::var_os(name),
            std::io::stdin(),
            std::io::stdout(),
        )
    };
    ExitCode::from(u8::from(!succeeded))
}

fn install_here(Command::Install(arguments): Command) -> bool {
    match install::install_and_report(&arguments, &mut std::io::stderr()) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("level=error msg={:?}", error::chain(&error));
            false
        }
    }
}

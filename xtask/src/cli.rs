//! The command line: names the tasks and hands over.

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{arch, image, lock, nix, programs};

#[derive(Debug, Parser)]
#[command(name = "xtask", about = "Project tasks", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the Go programs of the lab, each once per change of its pinned sources.
    Programs(programs::Arguments),
    /// Write the OCI archives of our binaries and of what only the lab needs.
    Image(image::Arguments),
    /// Hold the workspace to the table of allowed edges, sizes and names.
    Arch(arch::Arguments),
    /// Resolve the digests of release.lock, or check that none is missing.
    Lock(lock::Arguments),
    /// Evaluate, lint and type-check the Nix delivery.
    Nix(nix::Arguments),
}

/// Runs the task the command line names.
pub fn run() -> Result<()> {
    match Arguments::parse().task {
        Task::Programs(arguments) => programs::run(&arguments),
        Task::Image(arguments) => image::run(&arguments),
        Task::Arch(arguments) => arch::run(&arguments),
        Task::Lock(arguments) => lock::run(&arguments),
        Task::Nix(arguments) => nix::run(&arguments),
    }
}

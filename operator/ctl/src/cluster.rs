//! `gloonet cluster`: clusters come under a management plane.

pub(crate) mod register;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Register a workload cluster with the management cluster; makes the one-time token its agent enrols with.
    Register(register::Arguments),
}

//! `gloonet cluster`: clusters come under a management plane, and go from it.

pub(crate) mod register;
pub(crate) mod revoke;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Register a workload cluster with the management cluster; makes the one-time token its agent enrols with.
    Register(register::Arguments),
    /// Revoke every relay certificate and token a cluster was given; its policies stay, and it can be registered again.
    Revoke(revoke::Arguments),
}

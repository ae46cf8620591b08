//! `gloonet snapshot`: what the management server was told and what it wants, as its `/snapshots/input` and `/snapshots/output`
//! say it.

pub(crate) mod diff;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Compare two saved snapshots, or one with what the management server holds now. Ends with 0 where they say the same, 1 where not, 2 after an error.
    Diff(diff::Arguments),
}

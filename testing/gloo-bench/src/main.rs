//! Measurements of the management plane, each beside its aim. `./dev bench relay|translate|insights|logs` builds and runs this.

mod insights;
mod logs;
mod name;
mod relay;
mod translate;

use clap::Parser;

/// Measures the management plane.
#[derive(Debug, Parser)]
#[command(name = "gloo-bench")]
struct Arguments {
    #[command(subcommand)]
    name: name::Name,
}

fn main() -> anyhow::Result<()> {
    Arguments::parse().name.run()
}

//! STAND-IN for the client of test-connection-disruption: `tcd-client [--dispatch-interval TIME] ADDRESS:PORT`.

use std::path::Path;
use std::time::Duration;

use cilium_cli_stand_ins::connection;
use clap::Parser;

#[derive(Parser)]
struct Arguments {
    #[arg(long, value_parser = connection::interval, default_value = "0s")]
    dispatch_interval: Duration,
    address: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let ready = Path::new("/tmp/client-ready");
    connection::keep(&arguments.address, arguments.dispatch_interval, ready)
}

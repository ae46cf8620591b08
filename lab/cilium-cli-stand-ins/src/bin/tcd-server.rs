//! STAND-IN for the server of test-connection-disruption: `tcd-server PORT`.

use std::net::TcpListener;
use std::path::Path;

use cilium_cli_stand_ins::connection;
use clap::Parser;

#[derive(Parser)]
struct Arguments {
    port: u16,
}

fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", Arguments::parse().port))?;
    connection::serve(&listener, Path::new("/tmp/server-ready"))
}

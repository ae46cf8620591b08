//! Measurements of the management plane, which need no cluster: its own crate has them, built as the images are.

use std::process::Command;

use anyhow::Result;

use crate::{home, image, process, programs};

/// Handed on; `./dev bench relay -- --help` lists them.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[arg(last = true)]
    handed_on: Vec<String>,
}

/// With the lab's collector and the image's redis-sink, built if need be.
pub fn logs(arguments: &Arguments) -> Result<()> {
    programs::build(&["otelcol"])?;
    image::binaries::build_all()?;
    let collector = home::cache_folder("bin")?.join("otelcol-contrib");
    let sink = image::binaries::path("redis-sink")?;
    let mut handed_on = vec![
        format!("--collector={}", collector.display()),
        format!("--sink={}", sink.display()),
    ];
    handed_on.extend(arguments.handed_on.iter().cloned());
    run("logs", &Arguments { handed_on })
}

pub fn run(name: &str, arguments: &Arguments) -> Result<()> {
    let program = image::binaries::build_beside("gloo-bench")?;
    process::run(Command::new(program).arg(name).args(&arguments.handed_on))
}

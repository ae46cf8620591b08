//! `cilium-dbg version`.

use std::io::Write;

use cilium_cni::model::DebugInfo;
use clap::Args;
use serde::Serialize;

use crate::Error;
use crate::agent::Agent;
use crate::output::Output;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    client: Version,
    daemon: Version,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    #[serde(rename = "Version")]
    number: String,
    revision: String,
    arch: String,
}

impl Version {
    /// Reads `VERSION REVISION ARCH`.
    fn read(text: &str) -> Self {
        let mut words = text.split_whitespace().map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        Self {
            number: next(),
            revision: next(),
            arch: next(),
        }
    }
}

/// An agent that does not answer is part of the output, not a failure.
pub async fn run(arguments: &Arguments, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let client = DebugInfo::own(env!("CARGO_PKG_VERSION")).cilium_version;
    let daemon = agent
        .get::<DebugInfo>("/debuginfo", "its version")
        .await
        .ok()
        .map(|info| info.cilium_version);
    let versions = Versions {
        client: Version::read(&client),
        daemon: daemon.as_deref().map(Version::read).unwrap_or_default(),
    };
    if !arguments.output.write(&versions, out)? {
        writeln!(out, "Client: {client}")?;
        let daemon = daemon.as_deref().unwrap_or("Not responding");
        writeln!(out, "Daemon: {daemon}")?;
    }
    Ok(())
}

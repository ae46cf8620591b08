//! `gloonet status`: the platform at a glance.

mod table;
mod timeline;
mod wait;

use std::{io::IsTerminal, path::Path, time::Duration};

use gloonet_api::GlooNetwork;
use jiff::Timestamp;

use crate::{
    duration,
    fetch::{self, FetchError},
    format::{self, Format, FormatError},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How to print. JSON and YAML hold the whole status of the resource.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Wait until the platform is Available and nothing is on its way; fails when that takes longer than --timeout.
    #[arg(short, long)]
    wait: bool,
    /// How long to wait, for example 90s, 5m.
    #[arg(long, default_value = "5m", value_parser = duration::parse, requires = "wait")]
    timeout: Duration,
}

/// Status could not be shown, or did not become what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    #[error("it cannot be read")]
    Fetch(#[source] FetchError),
    #[error("it cannot be printed")]
    Format(#[source] FormatError),
    #[error("the platform is not Available after {}s: {message}", timeout.as_secs())]
    NotAvailable { timeout: Duration, message: String },
}

pub(crate) async fn run(
    kubeconfig: Option<&Path>,
    given: &Arguments,
) -> Result<String, StatusError> {
    let client = fetch::client(kubeconfig)
        .await
        .map_err(StatusError::Fetch)?;
    if given.wait {
        let (network, timeline) = wait::until_available(client, given.timeout).await?;
        let mut text = page(&network, given.output)?;
        if given.output == Format::Table {
            text.push('\n');
            text.push_str(&timeline.render());
        }
        return Ok(text);
    }
    let network = fetch::network(&client).await.map_err(StatusError::Fetch)?;
    page(&network, given.output)
}

fn page(network: &GlooNetwork, output: Format) -> Result<String, StatusError> {
    let status = network.status.clone().unwrap_or_default();
    match output {
        Format::Table => {
            let colour = std::io::stdout().is_terminal();
            Ok(table::page(network, Timestamp::now(), colour))
        }
        Format::Json => format::json(&status).map_err(StatusError::Format),
        Format::Yaml => format::yaml(&status).map_err(StatusError::Format),
    }
}

//! `cilium-dbg metrics`.

use std::io::Write;

use cilium_cni::model::metric::Metric;
use clap::Subcommand;
use regex::Regex;

use crate::Error;
use crate::agent::Agent;
use crate::output::Output;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// All, or those whose name matches
    #[command(alias = "ls")]
    List {
        /// Regular expression for the name
        #[arg(short = 'p', long)]
        match_pattern: Option<Regex>,
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    let Command::List {
        match_pattern,
        output,
    } = command;
    let mut metrics: Vec<Metric> = agent.get("/metrics", "its metrics").await?;
    if let Some(pattern) = match_pattern {
        metrics.retain(|metric| pattern.is_match(&metric.name));
    }
    if output.write(&metrics, out)? {
        return Ok(());
    }
    let mut table = Table::new();
    table.line("Metric\tLabels\tValue");
    for metric in &metrics {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        table.line(format!(
            "{}\t{}\t{:.6}",
            metric.name,
            labels.join(" "),
            metric.value
        ));
    }
    table.write(out)?;
    Ok(())
}

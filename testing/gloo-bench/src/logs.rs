//! The way of log records: collector → gateway → redis-sink → Redis, each the program and the configuration of a cluster, on
//! the loopback. Beside it the same collector with an exporter that throws away. Then Redis and the gateway are away under load.

mod files;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod hostile;
mod load;
#[cfg(test)]
mod queue;
mod stage;

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};

use load::Load;
use stage::{Programs, Stage};

/// Programs and sizes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// otelcol-contrib.
    #[arg(long)]
    collector: PathBuf,
    /// redis-sink.
    #[arg(long)]
    sink: PathBuf,
    #[arg(long, default_value = "redis-server")]
    redis: PathBuf,
    /// Records of the measurement.
    #[arg(long, default_value_t = 200_000)]
    records: u64,
    /// Records per second while something is away.
    #[arg(long, default_value_t = 2000)]
    rate: u64,
    /// Seconds for which Redis, then the gateway, are away.
    #[arg(long, default_value_t = 60)]
    away: u64,
}

/// What has not arrived by then never will.
const ARRIVES: Duration = Duration::from_mins(3);

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let programs = Programs {
            collector: arguments.collector.clone(),
            sink: arguments.sink.clone(),
            redis: arguments.redis.clone(),
        };
        throughput(&programs, arguments.records).await?;
        outage(&programs, arguments, "Redis").await?;
        outage(&programs, arguments, "gateway").await
    })
}

async fn throughput(programs: &Programs, records: u64) -> Result<()> {
    println!("logs: {records} records of about 300 bytes, as fast as they are taken");
    let header = ["", "records/s", "CPU ms per 10,000", "of it collector"];
    println!(
        "{:<44} {:>12} {:>18} {:>16}",
        header[0], header[1], header[2], header[3]
    );
    let mut rates = Vec::new();
    for thrown_away in [false, true] {
        let stage = Stage::set(programs, thrown_away).await?;
        let before = stage.cpu()?;
        let load = Load::of(&stage, records);
        let started = std::time::Instant::now();
        load.push().await?;
        stage.arrived(records, ARRIVES).await?;
        let seconds = started.elapsed().as_secs_f64();
        let after = stage.cpu()?;
        let spent = |at: usize| after[at] - before[at];
        let tens = approximate(records) / 10_000.0;
        let all: f64 = (0..after.len()).map(spent).sum();
        let name = if thrown_away {
            "collector → debug exporter"
        } else {
            "collector → gateway → redis-sink → Redis"
        };
        let rate = approximate(records) / seconds;
        println!(
            "{name:<44} {rate:>12.0} {:>18.0} {:>16.0}",
            all / tens,
            spent(0) / tens
        );
        rates.push(rate);
    }
    println!("ratio {:.2}", rates[0] / rates[1]);
    Ok(())
}

async fn outage(programs: &Programs, arguments: &Arguments, what: &str) -> Result<()> {
    let mut stage = Stage::set(programs, false).await?;
    let (rate, away) = (arguments.rate, arguments.away);
    let records = rate * (away + 20);
    let load = Load::of(&stage, records);
    let pushing = tokio::spawn(async move { load.push_at(rate).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let there = stage.count().await?;
    match what {
        "Redis" => stage.freeze_redis(true)?,
        _ => stage.stop_gateway()?,
    }
    tokio::time::sleep(Duration::from_secs(away)).await;
    match what {
        "Redis" => stage.freeze_redis(false)?,
        _ => stage.start_gateway().await?,
    }
    let meanwhile = stage.count().await?;
    pushing.await??;
    let counted = stage.arrived(records, ARRIVES).await?;
    println!(
        "{what} away for {away} s under {rate} records/s: {records} sent, {counted} stored, {} lost, {} twice",
        records.saturating_sub(counted),
        counted.saturating_sub(records)
    );
    if meanwhile > there + rate * away / 2 {
        bail!("{what} was not away: {there} records before, {meanwhile} right after");
    }
    stage.complete(records).await
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a measurement are far below 2^52"
)]
fn approximate(count: u64) -> f64 {
    count as f64
}

//! `./dev bench operator`: how long until everything is healthy, and what the operator costs when nothing happens.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::node::shell;
use crate::lab::Lab;
use crate::progress::human;
use crate::{process, up};

/// Arguments of `./dev bench operator`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Seconds of idling to measure.
    #[arg(long, default_value_t = 120)]
    idle: u64,
    /// Leave the platform as it is: measure only the idle operator.
    #[arg(long)]
    idle_only: bool,
}

/// Deletes and applies the GlooNetwork, then watches the idle operator.
pub fn run(arguments: &Arguments) -> Result<()> {
    let lab = Lab::from_environment()?;
    if !arguments.idle_only {
        time_to_available(&lab)?;
    }
    idle(&lab, Duration::from_secs(arguments.idle))
}

fn time_to_available(lab: &Lab) -> Result<()> {
    println!("deleting the GlooNetwork …");
    process::output(lab.kubectl()?.args([
        "delete",
        "glonet",
        "default",
        "--ignore-not-found",
        "--timeout=300s",
    ]))?;
    up::install::gloonetwork(lab)?;
    let started = Instant::now();
    let mut healthy: BTreeMap<String, Duration> = BTreeMap::new();
    loop {
        let resource = lab.get(&["glonet", "default"])?;
        for component in resource["status"]["components"]
            .as_array()
            .into_iter()
            .flatten()
        {
            if component["health"] == "Healthy"
                && let Some(name) = component["name"].as_str()
            {
                healthy
                    .entry(name.to_owned())
                    .or_insert_with(|| started.elapsed());
            }
        }
        let conditions = resource["status"]["conditions"].as_array();
        let available = conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Available" && condition["status"] == "True");
        if available {
            break;
        }
        if started.elapsed() > Duration::from_mins(10) {
            bail!("not Available after 10 minutes; ./dev gloonet status says what is missing");
        }
        sleep(Duration::from_millis(300));
    }
    let mut rows: Vec<(String, Duration)> = healthy.into_iter().collect();
    rows.sort_by_key(|(_, took)| *took);
    println!("healthy after");
    for (name, took) in rows {
        println!("  {name:<28} {:>12}", human(took));
    }
    println!("  {:<28} {:>12}", "Available", human(started.elapsed()));
    Ok(())
}

fn idle(lab: &Lab, time: Duration) -> Result<()> {
    // What Available itself sets off (Events, the last status) is not idling.
    sleep(Duration::from_secs(15));
    let before = leader(lab)?;
    sleep(time);
    let after = leader(lab)?;
    if before.node != after.node {
        bail!(
            "the leader moved from {} to {} meanwhile; run it again",
            before.node,
            after.node
        );
    }
    let minutes = time.as_secs_f64() / 60.0;
    let grown = |name: &str, with: &[&str]| after.sum(name, with) - before.sum(name, with);
    let apart = grown("gloonet_api_requests_total", &["resource=\"leases\""])
        + grown("gloonet_api_requests_total", &["verb=\"watch\""]);
    let rows = [
        (
            "memory, MB",
            after.sum("process_resident_memory_bytes", &[]) / 1e6,
            40.0,
        ),
        (
            "CPU, cores",
            grown("process_cpu_seconds_total", &[]) / time.as_secs_f64(),
            0.01,
        ),
        (
            "requests a minute besides watches and Lease",
            (grown("gloonet_api_requests_total", &[]) - apart) / minutes,
            6.0,
        ),
    ];
    println!(
        "idle for {} (leader on {})\n  {:<44} {:>8} {:>8} {:>7}",
        human(time),
        after.node,
        "",
        "ours",
        "aim",
        "ratio"
    );
    for (what, ours, aim) in rows {
        println!("  {what:<44} {ours:>8.4} {aim:>8.2} {:>7.2}", ours / aim);
    }
    println!(
        "  {:<44} {:>8} {:>8}",
        "objects applied",
        grown("gloonet_applies_total", &[]),
        0
    );
    Ok(())
}

/// The metrics page of the pod that leads.
struct Page {
    node: String,
    text: String,
}

impl Page {
    /// Sum over the series of one name that carry all of the given label texts.
    fn sum(&self, name: &str, with: &[&str]) -> f64 {
        sum(&self.text, name, with)
    }
}

/// Sum over the series of one name on a metrics page that carry all of the given label texts.
pub fn sum(page: &str, name: &str, with: &[&str]) -> f64 {
    page.lines()
        .filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
                && with.iter().all(|label| line.contains(label))
        })
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

fn leader(lab: &Lab) -> Result<Page> {
    let pods = lab.get(&["pods", "--namespace", "gloonet-system"])?;
    for pod in pods["items"].as_array().into_iter().flatten() {
        let Some(node) = pod["spec"]["nodeName"].as_str() else {
            continue;
        };
        let text = shell(
            lab,
            node,
            "busybox wget -q -O - http://127.0.0.1:9464/metrics",
        )?;
        if sum(&text, "gloonet_leader", &[]) > 0.0 {
            return Ok(Page {
                node: node.to_owned(),
                text,
            });
        }
    }
    None.context("no operator pod says that it leads")
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "small whole numbers")]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_added_and_longer_names_are_not() {
        let page = "# HELP a x\na_total{verb=\"get\",code=\"200\"} 3\na_total{verb=\"list\",code=\"200\"} 4\na_total_more 9\nleader 1\n";
        assert_eq!(sum(page, "a_total", &[]), 7.0);
        assert_eq!(sum(page, "a_total", &["verb=\"get\""]), 3.0);
        assert_eq!(sum(page, "leader", &[]), 1.0);
        assert_eq!(sum(page, "absent", &[]), 0.0);
    }
}

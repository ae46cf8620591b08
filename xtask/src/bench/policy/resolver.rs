//! The resolver alone, by its own measurement in release.

use std::process::Command;

use anyhow::{Context, Result};

use super::row;
use crate::{home, process};

/// Runs the measurement and prints what took longest beside what it may take.
pub fn run() -> Result<()> {
    let mut command = Command::new("cargo");
    command.current_dir(home::root()?).args([
        "test",
        "--quiet",
        "--release",
        "--package",
        "cilium-policy",
        "--test",
        "speed",
        "--",
        "--nocapture",
    ]);
    let printed = process::output(&mut command)?;
    let measured: Vec<Measured> = printed.lines().filter_map(read).collect();
    let (scratch, changes): (Vec<_>, Vec<_>) = measured
        .iter()
        .partition(|measured| measured.what == "from scratch");
    let scratch = scratch
        .first()
        .context("the resolver's test printed no time from scratch")?;
    let change = changes
        .into_iter()
        .max_by(|a, b| a.millis.total_cmp(&b.millis))
        .context("the resolver's test printed no change")?;
    row(
        "10,000 identities x 200 policies, from scratch",
        scratch.millis,
        1000.0,
        "ms",
    );
    row(
        &format!("the slowest change ({})", change.what),
        change.millis,
        10.0,
        "ms",
    );
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Measured {
    what: String,
    millis: f64,
}

/// Reads `WHAT: TIME (at most LIMIT …)`, times as Rust prints them.
fn read(line: &str) -> Option<Measured> {
    let (what, rest) = line.split_once(": ")?;
    let (time, _) = rest.split_once(" (at most")?;
    let units = [("ms", 1.0), ("µs", 1e-3), ("ns", 1e-6), ("s", 1e3)];
    let millis = units.iter().find_map(|(unit, factor)| {
        let number: f64 = time.strip_suffix(unit)?.parse().ok()?;
        Some(number * factor)
    })?;
    Some(Measured {
        what: what.to_owned(),
        millis,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_unit_are_milliseconds() {
        let of = |text: &str| read(&format!("x: {text} (at most 1s in release)")).map(|m| m.millis);
        assert_eq!(of("1.5s"), Some(1500.0));
        assert_eq!(of("42ms"), Some(42.0));
        assert_eq!(of("500µs"), Some(0.5));
        assert_eq!(read("60000 entries, at most 900 in one map"), None);
    }
}

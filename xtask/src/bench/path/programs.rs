//! What a packet costs in each program alone, by the datapath's own measurement.

use anyhow::Result;

use crate::gate::cargo::cargo;
use crate::process;

/// Runs the measurement and prints its lines.
pub fn print() -> Result<()> {
    let mut command = cargo(&[
        "test",
        "--quiet",
        "--package",
        "datapath",
        "--test",
        "programs",
        "--",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
        "cost::",
    ])?;
    let printed = process::output(&mut command)?;
    println!("each program alone (BPF_PROG_TEST_RUN)");
    for line in printed.lines().filter(|line| line.contains(", fastest ")) {
        println!("  {line}");
    }
    println!();
    Ok(())
}

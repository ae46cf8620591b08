//! What a packet costs in each program alone, by the datapath's own measurement.

use anyhow::Result;

use crate::gate::cargo::cargo;
use crate::process;

/// Runs the measurements and prints their lines.
pub fn print() -> Result<()> {
    println!("each program alone (BPF_PROG_TEST_RUN)");
    lines("programs", "cost::")?;
    println!("packets from a tunnel, which no test run has (the kernel's count, with its clock)");
    lines("network", "cost::a_packet_from_the_tunnel")?;
    println!();
    Ok(())
}

fn lines(target: &str, tests: &str) -> Result<()> {
    let mut command = cargo(&[
        "test",
        "--quiet",
        "--package",
        "datapath",
        "--test",
        target,
        "--",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
        tests,
    ])?;
    let printed = process::output(&mut command)?;
    for line in printed.lines().filter(|line| line.contains(", fastest ")) {
        println!("  {line}");
    }
    Ok(())
}

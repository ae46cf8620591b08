//! What the command line prints: progress to standard error, results to standard output.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::cluster::{Cluster, Event, Options, ProcessStatus, Status};

pub(super) fn step(event: &Event) {
    let mark = if event.changed { "✓" } else { "·" };
    eprintln!(
        "  {mark} {:<28} {:>6.1} s",
        event.what,
        event.took.as_secs_f32()
    );
}

pub(super) fn up(cluster: &Cluster, options: &Options) -> Result<()> {
    let start = Instant::now();
    eprintln!(
        "lab cluster {} (a new one takes about 10 s, one that runs 1 s)",
        cluster.name()
    );
    let changed = cluster.up(options, &step)?;
    let result = if changed {
        "up"
    } else {
        "already up, nothing changed"
    };
    eprintln!("{result} in {:.1} s", start.elapsed().as_secs_f32());
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    Ok(())
}

pub(super) fn status(status: &Status, json: bool) -> Result<()> {
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(status).context("status as JSON")?
        );
        return Ok(());
    }
    println!(
        "cluster {}  {}  KUBECONFIG={}",
        status.cluster,
        status.server,
        status.kubeconfig.display()
    );
    println!("  machine: {}", line(&status.processes));
    for node in &status.nodes {
        let paused = if node.paused { " (paused)" } else { "" };
        println!(
            "  {} {}{paused}: {}",
            node.name,
            node.address,
            line(&node.processes)
        );
    }
    let dead = status.dead();
    if !dead.is_empty() {
        println!(
            "not running: {} — `gloonet-lab up` starts them",
            dead.join(", ")
        );
    }
    Ok(())
}

fn line(processes: &[ProcessStatus]) -> String {
    let word = |p: &ProcessStatus| match p.pid {
        Some(pid) => format!("{}[{pid}]", p.name),
        None => format!("{}[dead]", p.name),
    };
    processes.iter().map(word).collect::<Vec<_>>().join(" ")
}

pub(super) fn logs(cluster: &Cluster, process: Option<&str>) -> Result<()> {
    if let Some(process) = process {
        let path = cluster.dir().log(process);
        let mut file = std::fs::File::open(&path)
            .with_context(|| format!("there is no log {}", path.display()))?;
        std::io::copy(&mut file, &mut std::io::stdout().lock()).context("cannot print the log")?;
        return Ok(());
    }
    for name in cluster.state()?.processes.keys() {
        println!("{name}\t{}", cluster.dir().log(name).display());
    }
    Ok(())
}

/// Becomes the other program, so that signals, input and exit status are its own.
pub(super) fn replace(command: &mut Command) -> Result<ExitCode> {
    let program = command.get_program().to_string_lossy().into_owned();
    Err(command.exec()).with_context(|| format!("cannot start {program}"))
}

/// Bytes from hexadecimal; blanks and colons between them are fine.
pub(super) fn parse_hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ':')
        .collect();
    let byte = |pair: &[char]| {
        let word: String = pair.iter().collect();
        u8::from_str_radix(&word, 16)
            .ok()
            .filter(|_| pair.len() == 2)
    };
    digits
        .chunks(2)
        .map(byte)
        .collect::<Option<_>>()
        .context("the frame is not hexadecimal: two digits for every byte")
}

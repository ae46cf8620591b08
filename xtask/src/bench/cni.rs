//! `./dev bench cni`: what ADD and DEL cost, ours beside `bridge` + `host-local`, called as a container runtime calls them.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::node::{FreshCopy, shell};
use super::path::pods::workers;
use super::statistics::percentile;
use crate::lab::Lab;

/// Arguments of `./dev bench cni`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Pods to add and delete with each plugin.
    #[arg(long, default_value_t = 100)]
    pods: usize,
    /// Run inside the node, print the milliseconds as JSON; the outer call uses it.
    #[arg(long, hide = true)]
    inside: bool,
}

/// Times of one plugin, in milliseconds.
#[derive(Debug, Default, serde::Deserialize, serde::Serialize)]
struct Times {
    add: Vec<f64>,
    del: Vec<f64>,
}

/// Measures both plugins on one worker and prints percentiles and ratios.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.inside {
        return inside(arguments.pods);
    }
    let lab = Lab::from_environment()?;
    let [node, _] = workers(&lab)?;
    let myself = FreshCopy::make()?;
    let line = format!(
        "{} bench cni --inside --pods {}",
        myself.path().display(),
        arguments.pods
    );
    let printed = shell(&lab, &node, &line)?;
    let last = printed.lines().last().unwrap_or_default();
    let [ours, reference]: [Times; 2] = serde_json::from_str(last).context("read the times")?;
    println!(
        "{:<6} {:>5} {:>12} {:>12} {:>8}   ({} pods each, on {node})",
        "verb", "", "ours", "reference", "ratio", arguments.pods
    );
    for (verb, ours, reference) in [
        ("ADD", &ours.add, &reference.add),
        ("DEL", &ours.del, &reference.del),
    ] {
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            let (ours, reference) = (percentile(ours, part), percentile(reference, part));
            println!(
                "{verb:<6} {name:>5} {ours:>9.1} ms {reference:>9.1} ms {:>8.2}",
                ours / reference
            );
        }
    }
    Ok(())
}

/// One plugin with its configuration.
struct Plugin {
    program: &'static str,
    config: Value,
}

fn inside(pods: usize) -> Result<()> {
    let ours = Plugin {
        program: "/opt/cni/bin/cilium-cni",
        config: json!({"cniVersion": "1.0.0", "name": "cilium", "type": "cilium-cni"}),
    };
    let reference = Plugin {
        program: "/usr/lib/cni/bridge",
        config: json!({
            "cniVersion": "1.0.0", "name": "bench-reference", "type": "bridge", "bridge": "bench-cni", "isGateway": true,
            "ipam": {"type": "host-local", "subnet": "198.18.8.0/22", "dataDir": "/tmp/bench-cni"},
        }),
    };
    let mut times = [Times::default(), Times::default()];
    let result = alternate(&[&ours, &reference], pods, &mut times);
    let _absent =
        crate::process::output(std::process::Command::new("ip").args(["link", "del", "bench-cni"]));
    result?;
    println!(
        "{}",
        serde_json::to_string(&times).context("print the times")?
    );
    Ok(())
}

/// Alternating, so that what else the machine does falls on both.
fn alternate(plugins: &[&Plugin; 2], pods: usize, times: &mut [Times; 2]) -> Result<()> {
    for pod in 0..pods {
        for (plugin, times) in plugins.iter().zip(times.iter_mut()) {
            one(plugin, pod, times)?;
        }
    }
    Ok(())
}

fn one(plugin: &Plugin, pod: usize, times: &mut Times) -> Result<()> {
    let namespace = format!("bench-cni-{pod}");
    let ip = |verb: &str| {
        crate::process::output(std::process::Command::new("ip").args(["netns", verb, &namespace]))
    };
    ip("add")?;
    let result = call(plugin, "ADD", pod, &namespace).and_then(|add| {
        times.add.push(add);
        times.del.push(call(plugin, "DEL", pod, &namespace)?);
        Ok(())
    });
    ip("del")?;
    result
}

/// Milliseconds of one call.
fn call(plugin: &Plugin, verb: &str, pod: usize, namespace: &str) -> Result<f64> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let started = Instant::now();
    let mut child = Command::new(plugin.program)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("CNI_COMMAND", verb)
        .env("CNI_CONTAINERID", format!("bench{pod:08}"))
        .env("CNI_NETNS", format!("/run/netns/{namespace}"))
        .env("CNI_IFNAME", "eth0")
        .env("CNI_PATH", "/usr/lib/cni:/opt/cni/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", plugin.program))?;
    let mut input = child.stdin.take().context("a child without input")?;
    input
        .write_all(plugin.config.to_string().as_bytes())
        .context("hand the configuration over")?;
    drop(input);
    let output = child.wait_with_output().context("wait for the plugin")?;
    let took = started.elapsed().as_secs_f64() * 1e3;
    if !output.status.success() {
        bail!(
            "{} {verb}: {}{}",
            plugin.program,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(took)
}

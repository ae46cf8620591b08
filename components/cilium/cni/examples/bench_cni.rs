//! Times ADD and DEL of two plugins side by side: `bench_cni --ours DIR --reference DIR [--pods 100]`.
//!
//! Runs on a node whose agent serves, as root. The two plugins take turns pod by pod, so that whatever else the machine
//! does hits both alike. Prints one JSON object with percentiles in milliseconds.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// Folder with cilium-cni.
    #[arg(long, default_value = "/opt/cni/bin")]
    ours: PathBuf,
    /// Folder with the reference plugins bridge and host-local.
    #[arg(long, default_value = "/usr/lib/cni")]
    reference: PathBuf,
    #[arg(long, default_value_t = 100)]
    pods: usize,
    /// The agent's socket.
    #[arg(long, default_value = "/var/run/cilium/cilium.sock")]
    socket: PathBuf,
}

struct Plugin {
    name: &'static str,
    program: PathBuf,
    path: PathBuf,
    configuration: Value,
    add: Vec<Duration>,
    del: Vec<Duration>,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(report) => {
            println!("{report:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<Value, Failure> {
    let leases = std::env::temp_dir().join("gloonet-bench-ipam");
    let mut plugins = [
        Plugin::new(
            "ours",
            "cilium-cni",
            &arguments.ours,
            json!({
                "cniVersion": "1.0.0", "name": "cilium", "type": "cilium-cni", "agent-socket": arguments.socket,
            }),
        ),
        Plugin::new(
            "reference",
            "bridge",
            &arguments.reference,
            json!({
                "cniVersion": "1.0.0", "name": "gloonet-bench", "type": "bridge", "bridge": "gnlbench0", "isGateway": true,
                "ipam": {"type": "host-local", "subnet": "198.18.0.0/16", "dataDir": leases,
                         "routes": [{"dst": "0.0.0.0/0"}]},
            }),
        ),
    ];
    let outcome = rounds(&mut plugins, arguments.pods);
    // Whatever happened, nothing of the bench stays.
    for pod in 0..arguments.pods {
        for plugin in &mut plugins {
            let _ = plugin.call("DEL", pod);
            let _ = ip(&["netns", "del", &plugin.namespace(pod)]);
        }
    }
    let _ = ip(&["link", "del", "gnlbench0"]);
    let _ = std::fs::remove_dir_all(leases);
    outcome?;
    let [ours, reference] = &plugins;
    Ok(json!({
        "pods": arguments.pods,
        "ours": ours.report(),
        "reference": reference.report(),
        "ratio": {
            "add_p50": ratio(&ours.add, &reference.add, 50),
            "add_p99": ratio(&ours.add, &reference.add, 99),
            "del_p50": ratio(&ours.del, &reference.del, 50),
            "del_p99": ratio(&ours.del, &reference.del, 99),
        },
    }))
}

fn rounds(plugins: &mut [Plugin; 2], pods: usize) -> Result<(), Failure> {
    for pod in 0..pods {
        for plugin in plugins.iter_mut() {
            ip(&["netns", "add", &plugin.namespace(pod)])?;
            let took = plugin.call("ADD", pod)?;
            plugin.add.push(took);
        }
    }
    for pod in 0..pods {
        for plugin in plugins.iter_mut() {
            let took = plugin.call("DEL", pod)?;
            plugin.del.push(took);
        }
    }
    Ok(())
}

impl Plugin {
    fn new(name: &'static str, program: &str, folder: &Path, configuration: Value) -> Self {
        Self {
            name,
            program: folder.join(program),
            path: folder.to_owned(),
            configuration,
            add: Vec::new(),
            del: Vec::new(),
        }
    }

    fn namespace(&self, pod: usize) -> String {
        format!("gnlbench-{}-{pod}", self.name)
    }

    fn call(&self, verb: &str, pod: usize) -> Result<Duration, Failure> {
        let started = Instant::now();
        let mut child = Command::new(&self.program)
            .env_clear()
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", self.namespace(pod))
            .env("CNI_NETNS", format!("/run/netns/{}", self.namespace(pod)))
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", &self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(self.configuration.to_string().as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let took = started.elapsed();
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            return Err(format!("{} {verb} of pod {pod} failed: {text}", self.name).into());
        }
        Ok(took)
    }

    fn report(&self) -> Value {
        json!({
            "add_p50": percentile(&self.add, 50), "add_p99": percentile(&self.add, 99),
            "del_p50": percentile(&self.del, 50), "del_p99": percentile(&self.del, 99),
        })
    }
}

/// Milliseconds, by the nearest rank.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted
        .get(rank - 1)
        .map_or(0.0, |time| (time.as_secs_f64() * 1e5).round() / 1e2)
}

fn ratio(ours: &[Duration], reference: &[Duration], percent: usize) -> f64 {
    (percentile(ours, percent) / percentile(reference, percent) * 100.0).round() / 100.0
}

fn ip(arguments: &[&str]) -> Result<(), Failure> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}

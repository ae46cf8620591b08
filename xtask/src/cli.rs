//! The command line: names the tasks and hands over.

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{
    arch, bench, bundle, cilium, conformance, deny, down, ebpf, gate, generate, hubble, image,
    lock, logs, nix, programs, up,
};

#[derive(Debug, Parser)]
#[command(
    name = "./dev",
    bin_name = "./dev",
    about = "Project tasks",
    disable_version_flag = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bring a cluster up with everything on it: builds what changed, starts the lab, installs, waits for Available.
    Up(up::Arguments),
    /// Stop the lab and take back every process, mount and namespace of it.
    Down(down::Arguments),
    /// Print the log of the operator, of a component, or of a process of the lab.
    Logs(logs::Arguments),
    /// Run every gate, from format to lab; what CI runs.
    Test(gate::Arguments),
    /// Run Kubernetes' own end-to-end specs on a cluster of their own, and say which passed.
    Conformance(conformance::Arguments),
    /// Ask a node's agent with upstream's Hubble client.
    Hubble(hubble::Arguments),
    /// Run upstream's cilium-cli against the cluster.
    Cilium(cilium::Arguments),
    /// Measure the cluster that is up.
    Bench(bench::Arguments),
    /// Build the Go programs of the lab, each once per change of its pinned sources.
    Programs(programs::Arguments),
    /// Write the OCI archives of our binaries and of what only the lab needs.
    Image(image::Arguments),
    /// Hold the workspace to the table of allowed edges, sizes and names.
    Arch(arch::Arguments),
    /// Hold the dependencies to deny.toml: licences, bans, sources.
    Deny(deny::Arguments),
    /// Write the CRDs, the API reference and the bundle from the code, or compare them.
    Gen(generate::Arguments),
    /// Build the kernel programs' object, or compare it with the committed one.
    Ebpf(ebpf::Arguments),
    /// Write the OLM bundle and install.yaml, or compare them.
    Bundle(bundle::Arguments),
    /// Resolve the digests of release.lock, or check that none is missing.
    Lock(lock::Arguments),
    /// Evaluate, lint and type-check the Nix delivery.
    Nix(nix::Arguments),
}

/// Runs the task the command line names.
pub fn run() -> Result<()> {
    match Arguments::parse().task {
        Task::Up(arguments) => up::run(&arguments),
        Task::Down(arguments) => down::run(&arguments),
        Task::Logs(arguments) => logs::run(&arguments),
        Task::Test(arguments) => gate::run(&arguments),
        Task::Conformance(arguments) => conformance::run(&arguments),
        Task::Hubble(arguments) => hubble::run(&arguments),
        Task::Cilium(arguments) => cilium::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Programs(arguments) => programs::run(&arguments),
        Task::Image(arguments) => image::run(&arguments),
        Task::Arch(arguments) => arch::run(&arguments),
        Task::Deny(arguments) => deny::run(&arguments),
        Task::Gen(arguments) => generate::run(&arguments),
        Task::Ebpf(arguments) => ebpf::run(&arguments),
        Task::Bundle(arguments) => bundle::run(&arguments),
        Task::Lock(arguments) => lock::run(&arguments),
        Task::Nix(arguments) => nix::run(&arguments),
    }
}

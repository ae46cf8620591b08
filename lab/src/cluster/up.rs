//! `up`: every step finds out what is there and does what is missing, so that it can be repeated and resumed.

use std::time::Instant;

use super::load::join;
use super::{Cluster, Error, Event, Node, Report};
use crate::addressing::Ordinal;
use crate::images::{self, Image};
use crate::layout::state_root;
use crate::state::{Cni, NodeRecord, State, Store, clusters};
use crate::{disk, limits, network};

const PROGRAMS: [&str; 10] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kubectl",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "pause",
];
/// What `up` itself needs; every other archive is imported as well.
const COREDNS: &str = "coredns";
const PAUSE: &str = "pause";

/// How a cluster is made. An existing cluster keeps its CNI and never loses nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Number of workers besides the control plane.
    pub workers: u32,
    /// CNI put on the nodes.
    pub cni: Cni,
    /// Images imported into the nodes.
    pub images: Images,
}

/// Which of the images `xtask image` wrote a node gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Images {
    /// Every one.
    #[default]
    All,
    /// What the cluster itself needs: the sandbox and CoreDNS.
    Essential,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 2,
            cni: Cni::None,
            images: Images::All,
        }
    }
}

impl Cluster {
    /// Brings the cluster up, or what is missing of it. Returns whether anything had to be done.
    pub fn up(&self, options: &Options, report: Report<'_>) -> Result<bool, Error> {
        let _lock = disk::lock(&self.operation_lock())?;
        self.check_programs()?;
        let mut images = images::list(&self.home().images())?;
        images::named(&images, PAUSE)?;
        let coredns = images::named(&images, COREDNS)?
            .names
            .last()
            .cloned()
            .unwrap_or_default();
        if options.images == Images::Essential {
            images.retain(|image| [PAUSE, COREDNS].contains(&image.name.as_str()));
        }
        let mut changed = self.allocate(options)?;
        changed |= timed(report, "certificates", || self.ensure_credentials())?;
        changed |= timed(report, "network", || self.ensure_network())?;
        changed |= self.ensure_nodes(&images, report)?;
        changed |= timed(report, "nodes registered", || self.label_nodes())?;
        changed |= timed(report, "CoreDNS applied", || self.apply_coredns(&coredns))?;
        Ok(changed)
    }

    /// Adds a worker and returns its name.
    pub fn add_node(&self, report: Report<'_>) -> Result<String, Error> {
        let _lock = disk::lock(&self.operation_lock())?;
        let images = images::list(&self.home().images())?;
        let state = self.state()?;
        let taken = |o: &Ordinal| state.nodes.values().any(|n| n.ordinal == *o);
        let free = (1..=u32::from(u8::MAX))
            .map(Ordinal::worker)
            .find(|o| !o.as_ref().is_ok_and(taken));
        let ordinal = free.ok_or(Error::TooManyClusters)??;
        let name = state.addressing().node_name(ordinal);
        self.store.record(|s| {
            s.nodes.insert(
                name.clone(),
                NodeRecord {
                    ordinal,
                    paused: false,
                },
            )
        })?;
        timed(report, &format!("node {name}"), || {
            self.node(&name)?.ensure(&images)
        })?;
        timed(report, "nodes registered", || self.label_nodes())?;
        Ok(name)
    }

    pub(super) fn operation_lock(&self) -> std::path::PathBuf {
        state_root().join(format!(".{}.operation.lock", self.name))
    }

    fn check_programs(&self) -> Result<(), Error> {
        let missing: Vec<_> = PROGRAMS
            .iter()
            .filter(|p| !self.home().program(p).exists())
            .copied()
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Error::Programs(missing.join(", "), self.home().bin()))
        }
    }

    /// Finds the cluster's record or makes one, with the lowest free machine-wide number.
    fn allocate(&self, options: &Options) -> Result<bool, Error> {
        let _lock = disk::lock(&allocation_lock())?;
        let mut changed = limits::raise(&state_root())?;
        if !self.exists() {
            let numbers: Vec<u8> = clusters()
                .iter()
                .filter_map(|c| Store::of(c).load().ok())
                .map(|s| s.index)
                .collect();
            // Number 0 and with it the well-known addresses belong to the cluster called `default`.
            let first = u8::from(self.name.as_str() != "default");
            let index = (first..200)
                .find(|i| !numbers.contains(i))
                .ok_or(Error::TooManyClusters)?;
            let id = disk::read(std::path::Path::new("/proc/sys/kernel/random/uuid"))?
                .trim()
                .to_owned();
            self.store
                .create(&State::new(id, self.name.clone(), index, options.cni))?;
            changed = true;
        }
        let addressing = self.state()?.addressing();
        let workers = (1..=options.workers)
            .map(Ordinal::worker)
            .collect::<Result<Vec<_>, _>>()?;
        let added = self.store.record(|s| {
            let before = s.nodes.len();
            for ordinal in std::iter::once(Ordinal::CONTROL_PLANE).chain(workers) {
                s.nodes
                    .entry(addressing.node_name(ordinal))
                    .or_insert(NodeRecord {
                        ordinal,
                        paused: false,
                    });
            }
            s.nodes.len() != before
        })?;
        Ok(changed | added)
    }

    fn ensure_network(&self) -> Result<bool, Error> {
        let plan = self.state()?.addressing();
        let namespaces = [plan.switch_namespace(), plan.outside_namespace()];
        let complete = namespaces
            .iter()
            .map(|n| network::exists(n))
            .collect::<Result<Vec<_>, _>>()?;
        let mounted = network::pins_are_mounted()?;
        self.store.record(|s| {
            s.namespaces.extend(namespaces);
            s.made_netns_mount |= !mounted;
        })?;
        network::make_switch(&plan)?;
        network::make_outside(&plan)?;
        Ok(complete.contains(&false))
    }

    /// The control plane starts while the nodes are prepared: only kubelets need it. One node comes first, so that the others
    /// find its images unpacked.
    fn ensure_nodes(&self, images: &[Image], report: Report<'_>) -> Result<bool, Error> {
        let first = self.node(&self.control_plane_name()?)?;
        let machine = first.ensure_machine()?;
        let prepare = |node: &Node<'_>| node.prepare(images);
        let (control, nodes) = std::thread::scope(|scope| {
            let control =
                scope.spawn(|| timed(report, "control plane", || self.ensure_control_plane()));
            let nodes = timed(report, "images", || prepare(&first)).and_then(|changed| {
                let others = timed(report, "nodes prepared", || self.each_node(prepare))?;
                Ok(changed | others)
            });
            (join(control), nodes)
        });
        let prepared = machine | control? | nodes?;
        let kubelets = timed(report, "kubelets", || {
            self.each_node(|node| node.ensure(&[]))
        })?;
        Ok(prepared | kubelets)
    }
}

/// Held while clusters come and go.
pub(super) fn allocation_lock() -> std::path::PathBuf {
    state_root().join(".allocation.lock")
}

pub(super) fn timed(
    report: Report<'_>,
    what: &str,
    work: impl FnOnce() -> Result<bool, Error>,
) -> Result<bool, Error> {
    let start = Instant::now();
    let changed = work()?;
    report(&Event {
        what: what.to_owned(),
        took: start.elapsed(),
        changed,
    });
    Ok(changed)
}

//! A node: its life from namespace to kubelet.

mod images;
mod machine;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use super::kubernetes::wait;
use super::{Cluster, Error};
use crate::addressing::Ordinal;
use crate::cgroup;
use crate::images::Image;
use crate::inside::Place;
use crate::layout::state_root;
use crate::render::{CONTAINERD_SOCKET, KUBERNETES};
use crate::state::{NodeRecord, State};
use crate::unpacked::Unpacked;

const PATIENCE: Duration = Duration::from_secs(10);

/// What of a node is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The kubelet; pods run on.
    Kubelet,
    /// containerd; pods run on, their shims are found again.
    Containerd,
    /// Everything at once, as if the power had failed: processes, pods, network and mounts are gone, the disk stays.
    Whole,
}

/// One node of a cluster.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl<'a> Node<'a> {
    pub(super) fn new(cluster: &'a Cluster, name: &str) -> Self {
        Self {
            cluster,
            name: name.to_owned(),
        }
    }

    /// Its name, in Kubernetes and as host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Pid of its first process on the machine, if it runs.
    pub fn init_pid(&self) -> Result<Option<u32>, Error> {
        self.cluster.pid(&self.process("init"))
    }

    /// Runs a program in the node to its end; its exit status is in the output.
    pub fn exec<S: Into<String>>(
        &self,
        argv: impl IntoIterator<Item = S>,
    ) -> Result<Output, Error> {
        self.cluster
            .run_in(self.place()?, argv.into_iter().map(Into::into).collect())
    }

    /// The command that runs a program in the node with the caller's own input and output.
    pub fn command(&self, argv: Vec<String>) -> Result<Command, Error> {
        Ok(self
            .cluster
            .internal(&self.cluster.foreground(self.place()?, argv)))
    }

    /// Restarts a part of the node and waits until it answers.
    pub fn restart(&self, part: Part) -> Result<(), Error> {
        match part {
            Part::Kubelet => self
                .cluster
                .stop_process(&self.process("kubelet"), PATIENCE)?,
            Part::Containerd => self
                .cluster
                .stop_process(&self.process("containerd"), PATIENCE)?,
            Part::Whole => self.halt()?,
        }
        self.ensure(&[])?;
        Ok(())
    }

    /// Stops a part of the node and leaves it stopped until `restart` or `up`.
    pub fn stop(&self, part: Part) -> Result<(), Error> {
        match part {
            Part::Kubelet => self
                .cluster
                .stop_process(&self.process("kubelet"), PATIENCE),
            Part::Containerd => self
                .cluster
                .stop_process(&self.process("containerd"), PATIENCE),
            Part::Whole => self.halt(),
        }
    }

    /// Freezes every process of the node, or lets them go on.
    pub fn pause(&self, paused: bool) -> Result<(), Error> {
        self.cluster.store.record(|s| {
            if let Some(node) = s.nodes.get_mut(&self.name) {
                node.paused = paused;
            }
        })?;
        Ok(cgroup::freeze(&self.cgroups()?, paused)?)
    }

    /// Brings the node up as far as it is not, with the given images in it. Says whether anything had to be done.
    pub(super) fn ensure(&self, images: &[Image]) -> Result<bool, Error> {
        let mut changed = self.prepare(images)?;
        if self.ordinal()?.is_control_plane() {
            changed |= self.cluster.ensure_control_plane()?;
        }
        let kubelet = vec![
            format!("--config={KUBERNETES}/kubelet.yaml"),
            format!("--kubeconfig={KUBERNETES}/kubelet.kubeconfig"),
            format!(
                "--node-ip={}",
                self.state()?.addressing().node(self.ordinal()?)
            ),
            format!("--hostname-override={}", self.name),
        ];
        changed |= self.ensure_process("kubelet", "kubelet", kubelet)?;
        Ok(changed)
    }

    /// Everything of the node that works without an API server. What a new node had to unpack is kept for the next ones.
    pub(super) fn prepare(&self, images: &[Image]) -> Result<bool, Error> {
        let mut changed = self.thaw()? | self.ensure_machine()?;
        let (unpacked, store) = (
            Unpacked::below(&state_root()),
            self.folder().join("containerd"),
        );
        let new = !images.is_empty() && !Unpacked::is_store(&store);
        if new {
            unpacked.fill(&store)?;
        }
        changed |= self.ensure_containerd()?;
        let imported = self.ensure_images(images)?;
        if new && imported {
            // A database that is being written cannot be copied.
            self.stop(Part::Containerd)?;
            unpacked.keep(&store)?;
            self.ensure_containerd()?;
        }
        Ok(changed | imported)
    }

    fn ensure_containerd(&self) -> Result<bool, Error> {
        let arguments = vec!["--config".into(), format!("{KUBERNETES}/containerd.toml")];
        let changed = self.ensure_process("containerd", "containerd", arguments)?;
        self.wait_containerd()?;
        Ok(changed)
    }

    /// Starts a program of the node unless it runs.
    pub(super) fn ensure_process(
        &self,
        name: &str,
        program: &str,
        arguments: Vec<String>,
    ) -> Result<bool, Error> {
        let process = self.process(name);
        if self.cluster.pid(&process)?.is_some() {
            return Ok(false);
        }
        let mut argv = vec![self.cluster.home().program(program).display().to_string()];
        argv.extend(arguments);
        self.cluster.start_in_node(&process, self.place()?, argv)?;
        Ok(true)
    }

    /// A kubelet that finds no containerd exits at once, so it is waited for.
    fn wait_containerd(&self) -> Result<(), Error> {
        let log = self.cluster.dir().log(&self.process("containerd"));
        let Some(pid) = self.init_pid()? else {
            return Err(Error::NodeDown(self.name.clone()));
        };
        let socket = format!("/proc/{pid}/root{CONTAINERD_SOCKET}");
        wait(
            &format!("containerd's answer on {}", self.name),
            Duration::from_secs(30),
            &log,
            || {
                std::path::Path::new(&socket).exists()
                    && self
                        .exec(["ctr", "version"])
                        .is_ok_and(|output| output.status.success())
            },
        )?;
        Ok(())
    }

    /// Ends every process of the node: the kernel does, when the first one dies.
    pub(super) fn halt(&self) -> Result<(), Error> {
        self.thaw()?;
        if self.ordinal()?.is_control_plane() {
            self.cluster.stop_fault_proxy()?;
        }
        self.cluster
            .stop_process(&self.process("init"), Duration::ZERO)?;
        let prefix = format!("{}/", self.name);
        self.cluster
            .store
            .record(|s| s.processes.retain(|name, _| !name.starts_with(&prefix)))?;
        Ok(())
    }

    pub(super) fn place(&self) -> Result<Place, Error> {
        if self.is_paused()? {
            return Err(Error::NodePaused(self.name.clone()));
        }
        let pid = self
            .init_pid()?
            .ok_or_else(|| Error::NodeDown(self.name.clone()))?;
        Ok(Place::Node {
            pid,
            cgroups: self.cgroups()?,
        })
    }

    /// Whether [`Node::pause`] froze it.
    pub fn is_paused(&self) -> Result<bool, Error> {
        Ok(self
            .state()?
            .nodes
            .get(&self.name)
            .is_some_and(|node| node.paused))
    }

    /// A frozen process takes no signal, not even the last one, until it is thawed.
    fn thaw(&self) -> Result<bool, Error> {
        let paused = self.is_paused()?;
        if paused {
            self.pause(false)?;
        }
        Ok(paused)
    }

    pub(super) fn cgroups(&self) -> Result<Vec<PathBuf>, Error> {
        Ok(cgroup::of_node(
            &cgroup::hierarchies()?,
            &self.cluster.name,
            &self.name,
        ))
    }

    pub(super) fn ordinal(&self) -> Result<Ordinal, Error> {
        let find = |s: &State| s.nodes.get(&self.name).map(|n: &NodeRecord| n.ordinal);
        find(&self.state()?).ok_or_else(|| Error::NodeDown(self.name.clone()))
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.cluster.dir().node(&self.name)
    }

    fn process(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    fn state(&self) -> Result<State, Error> {
        self.cluster.state()
    }
}

//! A node: its life from namespace to kubelet.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use super::control_plane::extra_folders;
use super::{Cluster, Error};
use crate::addressing::Ordinal;
use crate::cgroup;
use crate::images::{self, Image};
use crate::inside::{Bind, NodeInit, NodeRoot, Place, Rootfs, Spec};
use crate::layout::state_root;
use crate::pki::{Leaf, Pki};
use crate::render::{self, CONTAINERD_SOCKET, KUBERNETES};
use crate::state::{Cni, NodeRecord, State};
use crate::{command, disk, network};

/// Debian's folder of the CNI project's plugins.
const CNI_PLUGINS: &str = "/usr/lib/cni";
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
        let mut changed = self.ensure_machine()?;
        if self.ordinal()?.is_control_plane() {
            changed |= self.cluster.ensure_control_plane()?;
        }
        let containerd = vec!["--config".into(), format!("{KUBERNETES}/containerd.toml")];
        changed |= self.ensure_process("containerd", "containerd", containerd)?;
        self.wait_containerd()?;
        changed |= self.ensure_images(images)?;
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

    /// Namespaces, cgroups, files and first process.
    pub(super) fn ensure_machine(&self) -> Result<bool, Error> {
        self.write_files()?;
        if self.init_pid()?.is_some() {
            return Ok(false);
        }
        let (state, ordinal) = (self.state()?, self.ordinal()?);
        let plan = state.addressing();
        let namespace = plan.node_namespace(ordinal);
        let hierarchies = cgroup::hierarchies()?;
        let cgroups = cgroup::of_node(&hierarchies, &state.cluster, &self.name);
        self.cluster.store.record(|s| {
            s.namespaces.insert(namespace.clone());
            s.cgroups
                .extend(cgroup::of_cluster(&hierarchies, &s.cluster.clone()));
            s.cgroups.extend(cgroups.iter().cloned());
        })?;
        // Whatever an earlier life left: a machine that starts has an empty network.
        network::remove(&plan, &namespace, Some(&plan.port(ordinal)))?;
        network::make_node(&plan, ordinal)?;
        for cgroup in &cgroups {
            cgroup::create(cgroup)?;
        }
        let init = NodeInit {
            network: network::pin(&namespace),
            cgroups,
            log: self.cluster.dir().log(&self.process("init")),
            root: NodeRoot {
                hostname: self.name.clone(),
                rootfs: self.rootfs(hierarchies)?,
            },
        };
        self.cluster
            .start_own(&self.process("init"), &Spec::NodeInit(Box::new(init)), true)?;
        self.ensure_reference_routes(&state)?;
        Ok(true)
    }

    fn rootfs(&self, hierarchies: Vec<cgroup::Hierarchy>) -> Result<Rootfs, Error> {
        let folder = self.folder();
        let own = [
            ("kubernetes", KUBERNETES, true),
            ("kubelet", "/var/lib/kubelet", false),
            ("containerd", "/var/lib/containerd", false),
            ("log", "/var/log", false),
            ("etc-cni", "/etc/cni", false),
            ("opt-cni", "/opt/cni", false),
        ];
        let mut folders: Vec<(PathBuf, &str, bool)> = own
            .iter()
            .map(|(from, to, read_only)| (folder.join(from), *to, *read_only))
            .collect();
        if self.ordinal()?.is_control_plane() {
            folders.extend(extra_folders(self.cluster.dir(), &self.name));
        }
        let mut binds: Vec<Bind> = folders
            .into_iter()
            .map(|(from, to, read_only)| Bind {
                from,
                to: to.into(),
                read_only,
            })
            .collect();
        let home = self.cluster.home().path().to_owned();
        binds.push(Bind {
            from: home.clone(),
            to: home,
            read_only: true,
        });
        Ok(Rootfs {
            layers: folder.join("rootfs"),
            binds,
            hidden: vec![state_root()],
            hierarchies,
        })
    }

    fn write_files(&self) -> Result<(), Error> {
        let (state, ordinal) = (self.state()?, self.ordinal()?);
        let plan = state.addressing();
        let pki = Pki::at(self.cluster.dir().pki());
        let leaf = Leaf::kubelet(&plan, ordinal);
        pki.ensure(&leaf)?;
        let (cert, key) = pki.pair(&leaf.name)?;
        let etc = self.folder().join("kubernetes");
        // The folders that others are mounted over must be there before `kubernetes` is mounted read-only.
        disk::make_dir(&etc.join("pki"))?;
        disk::write_if_changed(&etc.join("ca.crt"), &pki.authority()?)?;
        disk::write_if_changed(&etc.join("kubelet.crt"), &cert)?;
        disk::write_secret(&etc.join("kubelet.key"), &key)?;
        disk::write_if_changed(&etc.join("kubelet.yaml"), &render::kubelet(ordinal))?;
        disk::write_if_changed(&etc.join("containerd.toml"), &render::containerd())?;
        self.cluster.write_kubeconfig(
            &leaf.name,
            &plan.api_url(),
            &etc.join("kubelet.kubeconfig"),
        )?;
        self.write_cni(&state)
    }

    /// `loopback` is on every node, as the kubelet's own packages have it; the rest only for the reference CNI.
    fn write_cni(&self, state: &State) -> Result<(), Error> {
        let bin = self.folder().join("opt-cni/bin");
        disk::make_dir(&bin)?;
        disk::make_dir(&self.folder().join("etc-cni/net.d"))?;
        let mut plugins = vec!["loopback"];
        if state.cni == Cni::Reference {
            plugins.extend(["bridge", "host-local", "portmap"]);
            let list =
                render::reference_cni(&state.addressing().reference_pod_cidr(self.ordinal()?));
            disk::write_if_changed(
                &self.folder().join("etc-cni/net.d/10-reference.conflist"),
                &list,
            )?;
        }
        for plugin in plugins {
            let (from, to) = (PathBuf::from(CNI_PLUGINS).join(plugin), bin.join(plugin));
            if !to.exists() {
                std::fs::copy(&from, &to)
                    .map_err(|source| disk::Error::Read { path: from, source })?;
            }
        }
        Ok(())
    }

    /// Under the reference CNI every node knows the way to every other node's pods.
    fn ensure_reference_routes(&self, state: &State) -> Result<(), Error> {
        if state.cni != Cni::Reference {
            return Ok(());
        }
        let (plan, own) = (state.addressing(), self.ordinal()?);
        for peer in state
            .nodes
            .values()
            .map(|n| n.ordinal)
            .filter(|peer| *peer != own)
        {
            let (here, there) = (plan.node_namespace(own), plan.node_namespace(peer));
            if network::exists(&there)? {
                network::route(&there, &plan.reference_pod_cidr(own), plan.node(own))?;
                network::route(&here, &plan.reference_pod_cidr(peer), plan.node(peer))?;
            }
        }
        Ok(())
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
        self.cluster.wait(
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

    /// Imports those of the images the node has not got. Says whether there were any.
    pub(super) fn ensure_images(&self, wanted: &[Image]) -> Result<bool, Error> {
        if wanted.is_empty() {
            return Ok(false);
        }
        let table = self.must(&["ctr", "-n", "k8s.io", "images", "ls"])?;
        let missing = images::missing(wanted, &images::parse_present(&table));
        for image in &missing {
            self.import(&image.file())?;
        }
        Ok(!missing.is_empty())
    }

    /// Imports an archive that lies under `$GLOONET_HOME`, the only folder of the machine a node can read.
    pub(super) fn import(&self, archive: &std::path::Path) -> Result<(), Error> {
        let archive = archive.display().to_string();
        self.must(&[
            "ctr",
            "-n",
            "k8s.io",
            "images",
            "import",
            "--local",
            "--digests=false",
            &archive,
        ])
        .map(drop)
    }

    fn must(&self, argv: &[&str]) -> Result<String, Error> {
        let output = self.exec(argv.iter().copied())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let line = format!("{} (on {})", argv.join(" "), self.name);
        Err(command::Error::Failed {
            line,
            status: output.status.to_string(),
            stderr,
        }
        .into())
    }

    /// Ends every process of the node: the kernel does, when the first one dies.
    pub(super) fn halt(&self) -> Result<(), Error> {
        self.cluster
            .stop_process(&self.process("init"), Duration::ZERO)?;
        let prefix = format!("{}/", self.name);
        self.cluster
            .store
            .record(|s| s.processes.retain(|name, _| !name.starts_with(&prefix)))?;
        Ok(())
    }

    pub(super) fn place(&self) -> Result<Place, Error> {
        let pid = self
            .init_pid()?
            .ok_or_else(|| Error::NodeDown(self.name.clone()))?;
        Ok(Place::Node {
            pid,
            cgroups: self.cgroups()?,
        })
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

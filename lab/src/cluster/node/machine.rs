//! The machine a node is: files, network, cgroups, mounts and first process.

use std::path::PathBuf;

use super::Node;
use crate::cluster::Error;
use crate::cluster::control_plane::extra_folders;
use crate::inside::{Bind, NodeInit, NodeRoot, Rootfs, Spec};
use crate::layout::state_root;
use crate::pki::{Leaf, Pki};
use crate::render::{self, KUBERNETES};
use crate::state::{Cni, State};
use crate::{cgroup, disk, network};

/// Debian's folder of the CNI project's plugins.
const CNI_PLUGINS: &str = "/usr/lib/cni";

impl Node<'_> {
    /// Namespaces, cgroups, files and first process.
    pub(in crate::cluster) fn ensure_machine(&self) -> Result<bool, Error> {
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
        self.cluster.link(&self.name)?.forget()?;
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
}

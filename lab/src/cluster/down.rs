//! `down`: takes back everything the state file names, in the reverse order of its making, whatever state it is in.

use std::time::Duration;

use super::up::{allocation_lock, timed};
use super::{Cluster, Error, Report};
use crate::addressing::Ordinal;
use crate::layout::state_root;
use crate::state::clusters;
use crate::{cgroup, disk, limits, network, process};

impl Cluster {
    /// Removes the cluster from the machine. One that is not there is fine.
    pub fn down(&self, report: Report<'_>) -> Result<(), Error> {
        let _lock = disk::lock(&self.operation_lock())?;
        if !self.exists() {
            return Ok(());
        }
        timed(report, "processes ended", || self.end_processes())?;
        timed(report, "network removed", || self.remove_network())?;
        timed(report, "cgroups removed", || self.remove_cgroups())?;
        timed(report, "files removed", || self.remove_files())?;
        Ok(())
    }

    /// Removes a worker from the machine; with `forget`, from the cluster's API as well.
    pub fn remove_node(&self, name: &str, forget: bool) -> Result<(), Error> {
        let _lock = disk::lock(&self.operation_lock())?;
        let node = self.node(name)?;
        let ordinal = node.ordinal()?;
        if ordinal.is_control_plane() {
            return Err(Error::ControlPlane(name.to_owned()));
        }
        let plan = self.state()?.addressing();
        node.halt()?;
        self.link(name)?.forget()?;
        network::remove(
            &plan,
            &plan.node_namespace(ordinal),
            Some(&plan.port(ordinal)),
        )?;
        let cgroups = node.cgroups()?;
        for path in &cgroups {
            cgroup::remove(path)?;
        }
        disk::remove_dir(&node.folder())?;
        self.store.record(|s| {
            s.nodes.remove(name);
            s.namespaces.remove(&plan.node_namespace(ordinal));
            s.cgroups.retain(|path| !cgroups.contains(path));
        })?;
        if forget {
            crate::command::run(self.kubectl().args([
                "delete",
                "node",
                name,
                "--ignore-not-found",
            ]))?;
        }
        Ok(())
    }

    fn end_processes(&self) -> Result<bool, Error> {
        for node in self.nodes()? {
            // Frozen processes take no signal. A node without cgroups has no process yet.
            let _ = node.pause(false);
        }
        let records = self.state()?.processes;
        process::kill_all(records.values())?;
        process::wait_reaped(records.values(), Duration::from_secs(3));
        self.store.record(|s| s.processes.clear())?;
        Ok(true)
    }

    fn remove_network(&self) -> Result<bool, Error> {
        let state = self.state()?;
        let plan = state.addressing();
        let ordinals = state.nodes.values().map(|n| n.ordinal);
        let port = |namespace: &str| {
            ordinals
                .clone()
                .find(|o| plan.node_namespace(*o) == namespace)
        };
        // The switch goes last: the others' cables end in it.
        let switch = plan.switch_namespace();
        for namespace in state.namespaces.iter().filter(|n| **n != switch) {
            let port = port(namespace).map(|o: Ordinal| plan.port(o));
            network::remove(&plan, namespace, port.as_deref())?;
        }
        network::remove(&plan, &switch, None)?;
        if state.made_netns_mount {
            network::remove_pins_mount()?;
        }
        Ok(true)
    }

    fn remove_cgroups(&self) -> Result<bool, Error> {
        for path in self.state()?.cgroups.iter().rev() {
            cgroup::remove(path)?;
        }
        cgroup::remove_family(&cgroup::hierarchies()?);
        Ok(true)
    }

    /// The record goes last, so that a `down` cut short can be repeated.
    fn remove_files(&self) -> Result<bool, Error> {
        let dir = self.dir();
        for folder in [dir.path().join("nodes"), dir.pki(), dir.audit(), dir.logs()] {
            disk::remove_dir(&folder)?;
        }
        let _lock = disk::lock(&allocation_lock())?;
        disk::remove_dir(dir.path())?;
        if clusters().is_empty() {
            limits::restore(&state_root())?;
        }
        Ok(true)
    }
}

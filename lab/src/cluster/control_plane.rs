//! etcd, API server, controller manager and scheduler: processes of the control-plane node, like any other.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{Cluster, Error};
use crate::addressing::Ordinal;
use crate::layout::ClusterDir;
use crate::pki::{Leaf, Pki};
use crate::render::{self, ApiServer, KUBERNETES, PKI};
use crate::{disk, network};

/// An API server lets requests in flight end first. Watches never do, so it is not waited for long.
const API_PATIENCE: Duration = Duration::from_secs(3);
/// Name of the second API server's process, after the node's.
const SECOND: &str = "kube-apiserver-second";

impl Cluster {
    /// Name of the control-plane node.
    pub fn control_plane_name(&self) -> Result<String, Error> {
        Ok(self.state()?.addressing().node_name(Ordinal::CONTROL_PLANE))
    }

    /// Certificates and kubeconfigs of the cluster as a whole.
    pub(super) fn ensure_credentials(&self) -> Result<bool, Error> {
        let plan = self.state()?.addressing();
        let dir: &ClusterDir = self.dir();
        let pki = Pki::at(dir.pki());
        pki.ensure_roots()?;
        let leaves = [
            Leaf::api_server(&plan),
            Leaf::kubelet_client(),
            Leaf::admin(),
            Leaf::front_proxy(),
            Leaf::controller_manager(),
            Leaf::scheduler(),
        ];
        for leaf in &leaves {
            pki.ensure(leaf)?;
        }
        let door = format!("https://127.0.0.1:{}", plan.door_port());
        let node = dir
            .node(&plan.node_name(Ordinal::CONTROL_PLANE))
            .join("kubernetes");
        let mut changed = self.write_kubeconfig("admin", &door, &dir.admin_kubeconfig())?;
        for user in ["controller-manager", "scheduler"] {
            changed |= self.write_kubeconfig(
                user,
                &plan.api_url(),
                &node.join(format!("{user}.kubeconfig")),
            )?;
        }
        changed |=
            disk::write_if_changed(&node.join("audit-policy.yaml"), &render::audit_policy())?;
        Ok(changed)
    }

    pub(super) fn write_kubeconfig(
        &self,
        user: &str,
        server: &str,
        to: &std::path::Path,
    ) -> Result<bool, Error> {
        let pki = Pki::at(self.dir().pki());
        let (cert, key) = pki.pair(user)?;
        let text = render::kubeconfig(self.name.as_str(), server, &pki.authority()?, &cert, &key);
        if std::fs::read_to_string(to).is_ok_and(|old| old == text) {
            return Ok(false);
        }
        disk::write_secret(to, &text)?;
        Ok(true)
    }

    /// Starts what is not running of the control plane; its node must be.
    pub(super) fn ensure_control_plane(&self) -> Result<bool, Error> {
        let state = self.state()?;
        let mut changed = self.ensure_program("etcd", render::etcd())?;
        changed |= self.ensure_program("kube-apiserver", render::api_server(&self.first_api()?))?;
        if state.second_api {
            changed |= self.start_second_api()?;
        }
        changed |= self.ensure_fault_proxy()?;
        changed |= self.ensure_api_door()?;
        self.wait_api()?;
        changed |= self.ensure_program("kube-controller-manager", render::controller_manager())?;
        changed |= self.ensure_program("kube-scheduler", render::scheduler())?;
        Ok(changed)
    }

    fn ensure_program(&self, program: &str, arguments: Vec<String>) -> Result<bool, Error> {
        let node = self.node(&self.control_plane_name()?)?;
        node.ensure_process(program, program, arguments)
    }

    fn first_api(&self) -> Result<ApiServer, Error> {
        let state = self.state()?;
        let address = state.addressing().node(Ordinal::CONTROL_PLANE);
        let bind = if state.faults {
            Ipv4Addr::LOCALHOST
        } else {
            address
        };
        Ok(ApiServer {
            advertise: address,
            bind,
            audit_log: "audit.log",
        })
    }

    /// Stops the API server, as if its machine had none. `up` or [`Cluster::start_api`] starts it again.
    pub fn stop_api(&self) -> Result<(), Error> {
        let node = self.control_plane_name()?;
        self.stop_process(&format!("{node}/kube-apiserver"), API_PATIENCE)
    }

    /// Starts the API server and waits until it is ready.
    pub fn start_api(&self) -> Result<(), Error> {
        self.ensure_program("kube-apiserver", render::api_server(&self.first_api()?))?;
        self.ensure_fault_proxy()?;
        self.wait_api()?;
        Ok(())
    }

    /// Starts or stops a second API server on the same etcd, with an address of its own.
    pub fn second_api(&self, wanted: bool) -> Result<(), Error> {
        self.store.record(|s| s.second_api = wanted)?;
        if wanted {
            self.start_second_api()?;
            return Ok(());
        }
        let (node, plan) = (self.control_plane_name()?, self.state()?.addressing());
        let process = format!("{node}/{SECOND}");
        if self.pid(&process)?.is_some() {
            self.stop_process(&process, API_PATIENCE)?;
            network::remove_address(&plan, Ordinal::CONTROL_PLANE, plan.second_api())?;
        }
        Ok(())
    }

    fn start_second_api(&self) -> Result<bool, Error> {
        let plan = self.state()?.addressing();
        let address = plan.second_api();
        network::add_address(&plan, Ordinal::CONTROL_PLANE, address)?;
        let server = ApiServer {
            advertise: address,
            bind: address,
            audit_log: "audit-second.log",
        };
        let node = self.node(&self.control_plane_name()?)?;
        node.ensure_process(SECOND, "kube-apiserver", render::api_server(&server))
    }
}

/// Folders a control-plane node has besides those of every node: certificates, etcd's data, the audit log.
pub(super) fn extra_folders(
    dir: &ClusterDir,
    node: &str,
) -> Vec<(std::path::PathBuf, &'static str, bool)> {
    debug_assert!(
        PKI.starts_with(KUBERNETES),
        "the certificates are mounted over a folder of {KUBERNETES}"
    );
    vec![
        (dir.pki(), PKI, true),
        (dir.node(node).join("etcd"), "/var/lib/etcd", false),
        (dir.audit(), "/var/log/kubernetes", false),
    ]
}

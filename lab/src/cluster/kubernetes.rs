//! What the lab says to its cluster's API server, through kubectl.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Cluster, Error};
use crate::addressing::{API_PORT, Ordinal};
use crate::command::{self, run};
use crate::disk;
use crate::render;
use crate::state::Cni;

const POLL: Duration = Duration::from_millis(100);

impl Cluster {
    /// `kubectl` with the cluster's kubeconfig.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.home().program("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig());
        command
    }

    /// Waits until the API server says it is ready.
    pub(super) fn wait_api(&self) -> Result<bool, Error> {
        let log = self
            .dir()
            .log(&format!("{}/kube-apiserver", self.control_plane_name()?));
        wait(
            "the API server's readiness",
            Duration::from_secs(90),
            &log,
            || {
                let mut probe = self.kubectl();
                probe
                    .args(["get", "--raw", "/readyz", "--request-timeout=2s"])
                    .stderr(Stdio::null());
                command::output(&mut probe).is_ok_and(|o| o.status.success())
            },
        )
    }

    /// Gives every node its role as a label, as soon as its kubelet has registered it.
    pub(super) fn label_nodes(&self) -> Result<bool, Error> {
        let mut changed = false;
        for (name, record) in self.state()?.nodes {
            let role = if record.ordinal.is_control_plane() {
                "control-plane"
            } else {
                "worker"
            };
            let label = format!("node-role.kubernetes.io/{role}=");
            let log = self.dir().log(&format!("{name}/kubelet"));
            wait(
                &format!("registration of node {name}"),
                Duration::from_mins(1),
                &log,
                || {
                    let mut command = self.kubectl();
                    command.args(["label", "node", &name, &label, "--overwrite"]);
                    let said = run(&mut command);
                    changed |= said
                        .as_ref()
                        .is_ok_and(|text| !text.contains("not labeled"));
                    said.is_ok()
                },
            )?;
        }
        Ok(changed)
    }

    /// Puts CoreDNS in its place.
    pub(super) fn apply_coredns(&self, image: &str) -> Result<bool, Error> {
        let (state, file) = (self.state()?, self.dir().path().join("coredns.json"));
        let address = state.addressing().node(Ordinal::CONTROL_PLANE);
        let api = (state.cni == Cni::Reference).then_some((address, API_PORT));
        disk::write_if_changed(&file, &render::coredns(image, api))?;
        let mut command = self.kubectl();
        command
            .args([
                "apply",
                "--server-side",
                "--force-conflicts",
                "--field-manager=gloonet-lab",
                "-f",
            ])
            .arg(&file);
        run(&mut command)?;
        Ok(false)
    }
}

/// Polls until `done`. Says whether there was anything to wait for.
pub(super) fn wait(
    what: &str,
    limit: Duration,
    log: &std::path::Path,
    mut done: impl FnMut() -> bool,
) -> Result<bool, Error> {
    let start = Instant::now();
    let mut waited = false;
    while !done() {
        waited = true;
        if start.elapsed() > limit {
            let (what, log) = (what.to_owned(), log.to_owned());
            return Err(Error::Timeout {
                what,
                seconds: limit.as_secs(),
                log,
            });
        }
        std::thread::sleep(POLL);
    }
    Ok(waited)
}

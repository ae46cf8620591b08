//! Places on the machine.

use std::path::{Path, PathBuf};

use crate::addressing::ClusterName;

const STATE_ROOT: &str = "/var/lib/gloonet-lab";

/// Where the built programs and images are.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

impl Home {
    /// `$GLOONET_HOME`, or `$HOME/.cache/gloonet`.
    pub fn from_env() -> Self {
        let home = std::env::var_os("GLOONET_HOME").map_or_else(
            || {
                let user = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
                PathBuf::from(user).join(".cache/gloonet")
            },
            PathBuf::from,
        );
        Self(home)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Folder with every program by name.
    pub fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }

    /// Path of one program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin().join(name)
    }

    /// Folder of OCI archives.
    pub fn images(&self) -> PathBuf {
        self.0.join("images")
    }
}

/// The folder under which every cluster of the machine keeps its state.
pub fn state_root() -> PathBuf {
    PathBuf::from(STATE_ROOT)
}

/// The files of one cluster.
#[derive(Debug, Clone)]
pub struct ClusterDir(PathBuf);

impl ClusterDir {
    /// The folder of `cluster`; it may not exist yet.
    pub fn of(cluster: &ClusterName) -> Self {
        Self(state_root().join(cluster.as_str()))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the lab made or is about to make.
    pub fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// Held while the state file is read, changed and written.
    pub fn state_lock(&self) -> PathBuf {
        self.0.join("state.lock")
    }

    /// Kubeconfig for programs on the machine.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.0.join("admin.kubeconfig")
    }

    /// Certificates and keys.
    pub fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// Output of every process, one file each.
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Output of the process that is called `name` in the state file.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{}.log", name.replace('/', "-")))
    }

    /// Folder of the API server's audit log.
    pub fn audit(&self) -> PathBuf {
        self.0.join("audit")
    }

    /// Everything a node keeps on disk.
    pub fn node(&self, node: &str) -> PathBuf {
        self.0.join("nodes").join(node)
    }
}

#[cfg(test)]
impl ClusterDir {
    /// A cluster folder anywhere, for tests of the state file.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

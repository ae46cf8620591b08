//! `cilium-cni install`: puts the plugin and its configuration on a node. Runs in an init container of the agent's pod,
//! so that the agent itself needs no way to write a program that the node's runtime executes.
//!
//! The configuration is written at once, not when the agent is ready: its `cniVersion` is 1.1.0, so the runtime asks
//! STATUS before it calls the network ready, and STATUS says no until the agent serves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::netconf::DEFAULT_SOCKET;
use crate::version::Version;

pub const BINARY: &str = "cilium-cni";
/// Sorts before what other plugins usually install; a runtime takes the first file.
pub const CONFLIST: &str = "05-cilium.conflist";
/// Appended to the name of a configuration that is not ours. Runtimes read only .conf, .conflist and .json.
pub const BACKUP_SUFFIX: &str = "cilium_bak";
/// What the program says of itself, and is known by on a node.
pub const ABOUT: &str =
    "The CNI plugin of GlooNetwork's Cilium; a container runtime calls it with CNI_COMMAND set";

#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot rename {path}, a CNI configuration that is not ours; move it away by hand")]
    Displace {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

#[derive(Debug, clap::Args)]
pub struct InstallArguments {
    /// The node's folder of CNI programs.
    #[arg(long, default_value = "/host/opt/cni/bin")]
    pub bin_dir: PathBuf,
    /// The node's folder of CNI configuration.
    #[arg(long, default_value = "/host/etc/cni/net.d")]
    pub conf_dir: PathBuf,
    /// Rename configuration of other plugins to *.cilium_bak; with false they are only reported.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub exclusive: bool,
    /// Where to leave the report, which the agent turns into an event.
    #[arg(long)]
    pub report: Option<PathBuf>,
}

/// What was found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Files of other plugins that were renamed, by their old names.
    pub displaced: Vec<String>,
    /// Files of other plugins that were left in force before ours.
    pub left: Vec<String>,
}

impl Report {
    /// One sentence for a log and an event; `None` when there is nothing to say.
    pub fn sentence(&self) -> Option<String> {
        let displaced = (!self.displaced.is_empty()).then(|| {
            format!(
                "CNI configuration of another plugin was renamed to *.{BACKUP_SUFFIX}: {}; pods it started keep their old network until they are recreated",
                self.displaced.join(", ")
            )
        });
        let left = (!self.left.is_empty()).then(|| {
            format!(
                "CNI configuration of another plugin is still there: {}; remove it or set cni-exclusive",
                self.left.join(", ")
            )
        });
        match (displaced, left) {
            (Some(a), Some(b)) => Some(format!("{a}; {b}")),
            (a, b) => a.or(b),
        }
    }
}

/// Installs the running program and says on `log` what it did.
pub fn install_and_report(
    arguments: &InstallArguments,
    log: &mut impl io::Write,
) -> Result<(), InstallError> {
    let program = std::env::current_exe().map_err(|source| InstallError::Read {
        path: PathBuf::from("/proc/self/exe"),
        source,
    })?;
    let report = install(arguments, &program)?;
    // The report file carries the same; a log nobody reads is no reason to fail.
    if let Some(sentence) = report.sentence() {
        let _ = writeln!(log, "level=warn msg={sentence:?}");
    }
    let _ = writeln!(
        log,
        "level=info msg=\"installed {BINARY} in {} and {CONFLIST} in {}\"",
        arguments.bin_dir.display(),
        arguments.conf_dir.display()
    );
    Ok(())
}

/// The program first, the configuration last: a runtime never sees a configuration whose program is missing.
pub fn install(arguments: &InstallArguments, program: &Path) -> Result<Report, InstallError> {
    let bytes = fs::read(program).map_err(|source| InstallError::Read {
        path: program.to_owned(),
        source,
    })?;
    replace(&arguments.bin_dir.join(BINARY), &bytes, 0o755)?;
    let mut report = Report::default();
    for name in foreign_configurations(&arguments.conf_dir)? {
        if arguments.exclusive {
            displace(&arguments.conf_dir.join(&name))?;
            report.displaced.push(name);
        } else {
            report.left.push(name);
        }
    }
    replace(
        &arguments.conf_dir.join(CONFLIST),
        conflist().as_bytes(),
        0o600,
    )?;
    if let Some(path) = &arguments.report {
        let text = serde_json::to_vec(&report).map_err(|error| InstallError::Write {
            path: path.clone(),
            source: error.into(),
        })?;
        replace(path, &text, 0o600)?;
    }
    Ok(report)
}

/// The network configuration list of a node.
pub fn conflist() -> String {
    let list = json!({
        "cniVersion": Version::NEWEST.as_str(),
        "name": "cilium",
        "plugins": [{"type": BINARY, "agent-socket": DEFAULT_SOCKET}],
    });
    format!("{list:#}\n")
}

/// Names of the files a runtime would read that are not ours, in its order. A missing folder has none.
pub fn foreign_configurations(folder: &Path) -> Result<Vec<String>, InstallError> {
    let mut names = configurations(folder)?;
    names.retain(|name| name != CONFLIST);
    Ok(names)
}

/// Names of the files a runtime would read, in its order. A missing folder has none.
pub fn configurations(folder: &Path) -> Result<Vec<String>, InstallError> {
    let failed = |source| InstallError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let read_by_runtimes = path
            .extension()
            .is_some_and(|e| e == "conf" || e == "conflist" || e == "json");
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        names.extend(name.filter(|_| read_by_runtimes));
    }
    names.sort();
    Ok(names)
}

fn displace(path: &Path) -> Result<(), InstallError> {
    let mut backup = path.as_os_str().to_owned();
    backup.push(".");
    backup.push(BACKUP_SUFFIX);
    fs::rename(path, backup).map_err(|source| InstallError::Displace {
        path: path.to_owned(),
        source,
    })
}

/// Readers see the old file or the new one, also after a power cut.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), InstallError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let write = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|source| InstallError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn node() -> (tempfile::TempDir, InstallArguments) {
        let root = tempfile::tempdir().unwrap();
        let arguments = InstallArguments {
            bin_dir: root.path().join("bin"),
            conf_dir: root.path().join("net.d"),
            exclusive: true,
            report: Some(root.path().join("report.json")),
        };
        fs::write(root.path().join("program"), b"ELF").unwrap();
        (root, arguments)
    }

    #[test]
    fn a_bare_node_gets_an_executable_program_and_a_conflist_our_parser_accepts() {
        let (root, arguments) = node();
        let report = install(&arguments, &root.path().join("program")).unwrap();
        assert_eq!(report, Report::default());
        let program = arguments.bin_dir.join(BINARY);
        assert_eq!(
            fs::metadata(program).unwrap().permissions().mode() & 0o777,
            0o755
        );
        let text = fs::read(arguments.conf_dir.join(CONFLIST)).unwrap();
        let list: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(list["cniVersion"], "1.1.0");
        assert_eq!(list["plugins"][0]["type"], "cilium-cni");
    }

    #[test]
    fn a_foreign_configuration_is_renamed_and_named_in_the_report() {
        let (root, arguments) = node();
        fs::create_dir_all(&arguments.conf_dir).unwrap();
        for name in ["10-flannel.conflist", "87-podman.conf", "README"] {
            fs::write(arguments.conf_dir.join(name), b"{}").unwrap();
        }
        let report = install(&arguments, &root.path().join("program")).unwrap();
        assert_eq!(report.displaced, ["10-flannel.conflist", "87-podman.conf"]);
        assert!(
            arguments
                .conf_dir
                .join("10-flannel.conflist.cilium_bak")
                .exists()
        );
        assert!(arguments.conf_dir.join("README").exists());
        assert!(report.sentence().unwrap().contains("10-flannel.conflist"));
        let kept: Report =
            serde_json::from_slice(&fs::read(arguments.report.unwrap()).unwrap()).unwrap();
        assert_eq!(kept, report);
    }

    #[test]
    fn installing_again_changes_nothing_and_reports_nothing() {
        let (root, arguments) = node();
        install(&arguments, &root.path().join("program")).unwrap();
        let report = install(&arguments, &root.path().join("program")).unwrap();
        assert_eq!(report.sentence(), None);
    }

    #[test]
    fn without_exclusive_a_foreign_configuration_stays_and_is_reported() {
        let (root, mut arguments) = node();
        arguments.exclusive = false;
        fs::create_dir_all(&arguments.conf_dir).unwrap();
        fs::write(arguments.conf_dir.join("00-other.conf"), b"{}").unwrap();
        let report = install(&arguments, &root.path().join("program")).unwrap();
        assert_eq!(report.left, ["00-other.conf"]);
        assert!(arguments.conf_dir.join("00-other.conf").exists());
    }
}

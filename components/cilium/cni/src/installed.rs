//! What `cilium-cni install` put on a node, for who takes it away again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::install::{ABOUT, BACKUP_SUFFIX, BINARY, CONFLIST, InstallError};

/// What is there now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// Ours, the configuration first: a runtime never sees one whose program is missing.
    pub ours: Vec<PathBuf>,
    /// Configuration of other plugins that was renamed when ours came.
    pub displaced: Vec<PathBuf>,
}

/// Whether what a file holds is ours.
type Judge = fn(&[u8]) -> bool;

/// Looks into a node's folders of CNI programs and configuration. Cilium's own files have the names of ours and are left alone.
///
/// # Errors
/// When a folder or a file in it cannot be read.
pub fn installed(bin_dir: &Path, conf_dir: &Path) -> Result<Installed, InstallError> {
    let mut found = Installed::default();
    for (path, is_ours) in [
        (conf_dir.join(CONFLIST), is_our_conflist as Judge),
        (bin_dir.join(BINARY), is_our_program),
    ] {
        match fs::read(&path) {
            Ok(bytes) if is_ours(&bytes) => found.ours.push(path),
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(InstallError::Read { path, source });
            }
            _ => {}
        }
    }
    let failed = |source| InstallError::Read {
        path: conf_dir.to_owned(),
        source,
    };
    for entry in fs::read_dir(conf_dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|ending| ending == BACKUP_SUFFIX)
        {
            found.displaced.push(path);
        }
    }
    found.displaced.sort();
    Ok(found)
}

/// Of any release: only ours names the agent's socket.
fn is_our_conflist(text: &[u8]) -> bool {
    let list: Value = serde_json::from_slice(text).unwrap_or_default();
    let plugins = list["plugins"].as_array();
    plugins.is_some_and(|plugins| {
        plugins
            .iter()
            .any(|plugin| plugin["type"] == BINARY && plugin["agent-socket"].is_string())
    })
}

/// Of any release: it is known by what it says of itself.
fn is_our_program(bytes: &[u8]) -> bool {
    let mut places = bytes.windows(ABOUT.len());
    places.any(|place| place == ABOUT.as_bytes())
}

//! One file per verb of the specification.

pub mod add;
pub mod check;
pub mod del;
pub mod gc;
pub mod status;
pub mod version;

use std::fmt::Write as _;
use std::path::Path;

use nix::sys::statfs::{FsType, statfs};
use sha2::{Digest as _, Sha256};

use crate::error::Failure;

/// The kernel's magic number of the filesystem behind /proc/PID/ns/*.
const NSFS_MAGIC: FsType = FsType(0x6e73_6673);
const HOST_PREFIX: &str = "lxc";

/// The node-side name of an attachment. Derived, so that DEL finds it without the agent and without the namespace.
pub fn host_interface(container_id: &str, ifname: &str) -> String {
    let digest = Sha256::new_with_prefix(container_id)
        .chain_update([0])
        .chain_update(ifname)
        .finalize();
    format!("{HOST_PREFIX}{}", hex(&digest[..6]))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Code 3 for a path that is gone, code 4 for a path that is something else.
fn check_namespace(path: &Path) -> Result<(), Failure> {
    let shown = path.display().to_string();
    match statfs(path) {
        Ok(found) if found.filesystem_type() == NSFS_MAGIC => Ok(()),
        Ok(_) => Err(Failure::InvalidEnvironment {
            variable: "CNI_NETNS",
            problem: format!("{shown:?} is not a network namespace"),
        }),
        Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => {
            Err(Failure::UnknownNamespace { path: shown })
        }
        Err(error) => Err(Failure::InvalidEnvironment {
            variable: "CNI_NETNS",
            problem: format!("{shown:?} cannot be opened: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_interface_name_fits_the_kernel_and_differs_per_attachment() {
        let name = host_interface("abc", "eth0");
        assert_eq!(name.len(), 15);
        assert_ne!(name, host_interface("abc", "net1"));
        assert_ne!(host_interface("ab", "ceth0"), host_interface("abc", "eth0"));
    }

    #[test]
    fn a_namespace_that_is_gone_and_a_file_that_is_none_have_different_codes() {
        assert_eq!(
            check_namespace(Path::new("/run/netns/no-such"))
                .unwrap_err()
                .code(),
            3
        );
        assert_eq!(
            check_namespace(Path::new("/etc/hostname"))
                .unwrap_err()
                .code(),
            4
        );
        check_namespace(Path::new("/proc/self/ns/net")).unwrap();
    }
}

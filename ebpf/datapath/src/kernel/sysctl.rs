use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;

/// Where the kernel's network parameters are; what they say depends on the reader's network namespace, not on the mount.
const OWN: &str = "/proc/sys/net";
/// A container without privileges has `OWN` read-only; our DaemonSet mounts the node's here.
const MOUNTED: &str = "/host/proc/sys/net";

/// Lets the node forward, and our devices take packets whose way back is another device. At the node's own pair of devices its own
/// addresses may come in as well: the kernel calls a route from there valid then, which is what cilium-cli asks it for.
pub(super) fn prepare(own: [&str; 2], tunnel: Option<&str>) -> Result<(), Error> {
    set("ipv4/ip_forward", "1")?;
    // The kernel takes the stricter of "all" and the device. Loose (2) keeps refusing sources that no route knows.
    if read("ipv4/conf/all/rp_filter")?.as_deref() == Some("1") {
        set("ipv4/conf/all/rp_filter", "2")?;
    }
    for device in own.into_iter().chain(tunnel) {
        forgive(device)?;
        silence(device)?;
    }
    for device in own {
        set(&format!("ipv4/conf/{device}/accept_local"), "1")?;
    }
    Ok(())
}

/// Takes off a device's reverse path filter; the programs know better who may send from where.
pub(super) fn forgive(device: &str) -> Result<(), Error> {
    set(&format!("ipv4/conf/{device}/rp_filter"), "0")
}

/// Keeps the host from speaking IPv6 on a device where nobody listens. Not for a pod's link: the kernel retries this write
/// in a loop while anyone else changes a network, for tens of milliseconds on a busy node.
fn silence(device: &str) -> Result<(), Error> {
    set(&format!("ipv6/conf/{device}/disable_ipv6"), "1")
}

/// `None`: the kernel has no such parameter, as without IPv6.
fn read(name: &str) -> Result<Option<String>, Error> {
    let path = Path::new(OWN).join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File {
            operation: "read",
            path,
            source,
        }),
    }
}

/// Writes only what differs: a read-only parameter may be right all the same.
fn set(name: &str, value: &str) -> Result<(), Error> {
    match read(name)? {
        Some(found) if found != value => write(name, value),
        _ => Ok(()),
    }
}

fn write(name: &str, value: &str) -> Result<(), Error> {
    let own = Path::new(OWN).join(name);
    let mounted = Path::new(MOUNTED).join(name);
    let failed = |path: PathBuf| {
        |source| Error::File {
            operation: "write",
            path,
            source,
        }
    };
    match fs::write(&own, value) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem && mounted.exists() => {
            fs::write(&mounted, value).map_err(failed(mounted))
        }
        result => result.map_err(failed(own)),
    }
}

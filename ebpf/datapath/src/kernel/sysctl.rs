use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;

const IPV4: &str = "/proc/sys/net/ipv4";
const IPV6: &str = "/proc/sys/net/ipv6";

/// Lets the node forward, and our devices take packets whose way back is another device.
pub(super) fn prepare(devices: &[&str]) -> Result<(), Error> {
    set(Path::new(IPV4).join("ip_forward"), "1")?;
    // The kernel takes the stricter of "all" and the device. Loose (2) keeps refusing sources that no route knows.
    let all = Path::new(IPV4).join("conf/all/rp_filter");
    if read(&all)? == "1" {
        set(all, "2")?;
    }
    for device in devices {
        forgive(device)?;
        silence(device)?;
    }
    Ok(())
}

/// Takes off a device's reverse path filter; the programs know better who may send from where.
pub(super) fn forgive(device: &str) -> Result<(), Error> {
    set(
        Path::new(IPV4).join("conf").join(device).join("rp_filter"),
        "0",
    )
}

/// Keeps the host from speaking IPv6 on a device where nobody listens. Not for a pod's link: the kernel retries this write
/// in a loop while anyone else changes a network, for tens of milliseconds on a busy node.
fn silence(device: &str) -> Result<(), Error> {
    let path = Path::new(IPV6)
        .join("conf")
        .join(device)
        .join("disable_ipv6");
    // Kernels without IPv6 have no such file.
    if path.exists() {
        set(path, "1")
    } else {
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(Error::File {
            operation: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes only what differs: in a container /proc/sys may be read-only and right all the same.
fn set(path: PathBuf, value: &str) -> Result<(), Error> {
    if read(&path)? == value {
        return Ok(());
    }
    let written: io::Result<()> = fs::write(&path, value);
    written.map_err(|source| Error::File {
        operation: "write",
        path,
        source,
    })
}

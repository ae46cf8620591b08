use nix::time::{ClockId, clock_gettime};

use crate::Error;

/// Nanoseconds of the clock the programs read (`bpf_ktime_get_ns`).
pub(super) fn monotonic() -> Result<u64, Error> {
    let now =
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|errno| Error::Events(errno.into()))?;
    let nanoseconds = now.tv_sec() * 1_000_000_000 + now.tv_nsec();
    Ok(u64::try_from(nanoseconds).unwrap_or(0))
}

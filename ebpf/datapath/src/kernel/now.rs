use nix::time::{ClockId, clock_gettime};

use crate::Error;

/// Nanoseconds of the clock that connections begin and end by (`bpf_ktime_get_coarse_ns`).
pub(super) fn coarse() -> Result<u64, Error> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)
        .map_err(|errno| Error::Clock(errno.into()))?;
    let nanoseconds = now.tv_sec() * 1_000_000_000 + now.tv_nsec();
    Ok(u64::try_from(nanoseconds).unwrap_or(0))
}

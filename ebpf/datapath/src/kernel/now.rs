use nix::time::{ClockId, clock_gettime};

use crate::Error;

/// Nanoseconds of the clock the programs read (`bpf_ktime_get_ns`).
pub(super) fn monotonic() -> Result<u64, Error> {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Nanoseconds of the clock that connections begin and end by (`bpf_ktime_get_coarse_ns`).
pub(super) fn coarse() -> Result<u64, Error> {
    read(ClockId::CLOCK_MONOTONIC_COARSE)
}

fn read(clock: ClockId) -> Result<u64, Error> {
    let now = clock_gettime(clock).map_err(|errno| Error::Clock(errno.into()))?;
    let nanoseconds = now.tv_sec() * 1_000_000_000 + now.tv_nsec();
    Ok(u64::try_from(nanoseconds).unwrap_or(0))
}

//! The kernel's number for a network namespace.
#![expect(unsafe_code, reason = "getsockopt(2) writes to an address")]

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use crate::Error;

/// Of the namespace of the calling thread; never used twice while the kernel runs.
pub(super) fn own() -> Result<u64, Error> {
    let failed = |source| Error::NamespaceCookie { source };
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
    let mut cookie = 0_u64;
    let mut length = libc::socklen_t::try_from(size_of_val(&cookie)).unwrap_or_default();
    // SAFETY: both addresses are of live values, and the kernel writes at most `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(cookie)
    } else {
        Err(failed(std::io::Error::last_os_error()))
    }
}

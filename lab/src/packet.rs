//! Raw frames on an interface of the calling thread's network namespace, and who has which interface there.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind,
    recvfrom, send, socket,
};

/// Larger than any frame: with segmentation offload a frame may have 64 KiB.
const LARGEST: usize = 70_000;
/// `PACKET_OUTGOING` of linux/if_packet.h: what we sent ourselves.
const OUTGOING: u8 = 4;

/// Why frames cannot be sent or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The namespace could not be entered.
    #[error("cannot enter the network namespace {path}")]
    Enter {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// No such interface in the namespace.
    #[error("there is no interface {0} here; there are {1}")]
    NoInterface(String, String),
    /// The kernel refused.
    #[error("cannot {what} on {interface}")]
    Socket {
        what: &'static str,
        interface: String,
        #[source]
        source: Errno,
    },
    /// The list of interfaces could not be read.
    #[error("cannot list the interfaces")]
    List(#[source] Errno),
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Its hardware address, if it has one.
    pub mac: Option<[u8; 6]>,
    /// Its IPv4 addresses.
    pub addresses: Vec<Ipv4Addr>,
}

/// Does something in another network namespace, on a thread of its own.
pub fn within<R: Send>(namespace: &Path, work: impl FnOnce() -> R + Send) -> Result<R, Error> {
    let enter = || -> std::io::Result<()> {
        setns(std::fs::File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
        Ok(())
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| enter().map(|()| work()));
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
    .map_err(|source| Error::Enter {
        path: namespace.to_owned(),
        source,
    })
}

/// The interfaces of this thread's namespace, by name.
pub fn interfaces() -> Result<BTreeMap<String, Interface>, Error> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs().map_err(Error::List)? {
        let interface = found.entry(entry.interface_name).or_default();
        let Some(address) = entry.address else {
            continue;
        };
        if let Some(link) = address.as_link_addr() {
            interface.mac = link.addr();
        } else if let Some(v4) = address.as_sockaddr_in() {
            interface.addresses.push(v4.ip());
        }
    }
    Ok(found)
}

/// A socket for whole frames on one interface.
#[derive(Debug)]
pub struct PacketSocket {
    handle: OwnedFd,
    interface: String,
}

impl PacketSocket {
    /// Opens a socket on an interface of this thread's namespace. The socket stays there, whatever the thread does later.
    pub fn open(interface: &str) -> Result<Self, Error> {
        let fail = |what| {
            let interface = interface.to_owned();
            move |source| Error::Socket {
                what,
                interface,
                source,
            }
        };
        let address = link_address(interface)?;
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let handle = socket(
            AddressFamily::Packet,
            SockType::Raw,
            flags,
            SockProtocol::EthAll,
        )
        .map_err(fail("open a packet socket"))?;
        // The address from the kernel's list names no protocol, which binds to the one the socket was opened for: all.
        bind(handle.as_raw_fd(), &address).map_err(fail("bind"))?;
        Ok(Self {
            handle,
            interface: interface.to_owned(),
        })
    }

    /// Sends a frame as it is, link header first.
    pub fn send(&self, frame: &[u8]) -> Result<(), Error> {
        send(self.handle.as_raw_fd(), frame, MsgFlags::empty())
            .map(drop)
            .map_err(|source| self.failed("send a frame", source))
    }

    /// The next frame that came in, if there is one now. Frames sent from here are not seen.
    pub fn receive(&self) -> Result<Option<Vec<u8>>, Error> {
        let mut buffer = vec![0; LARGEST];
        loop {
            match recvfrom::<LinkAddr>(self.handle.as_raw_fd(), &mut buffer) {
                Ok((_, Some(from))) if from.pkttype() == OUTGOING => {}
                Ok((length, _)) => {
                    buffer.truncate(length);
                    return Ok(Some(buffer));
                }
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(source) => return Err(self.failed("read a frame", source)),
            }
        }
    }

    /// Waits for a frame that `wanted` accepts; others are dropped.
    pub fn expect(
        &self,
        patience: Duration,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        let end = Instant::now() + patience;
        loop {
            while let Some(frame) = self.receive()? {
                if wanted(&frame) {
                    return Ok(Some(frame));
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            wait_readable(&[self.as_fd()], left)
                .map_err(|source| self.failed("wait for frames", source))?;
        }
    }

    fn failed(&self, what: &'static str, source: Errno) -> Error {
        Error::Socket {
            what,
            interface: self.interface.clone(),
            source,
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Returns when one of the sockets has something to read, or after `patience`.
pub fn wait_readable(sockets: &[BorrowedFd<'_>], patience: Duration) -> Result<(), Errno> {
    let mut polled: Vec<PollFd<'_>> = sockets
        .iter()
        .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
        .collect();
    // Rounded up: a wait of less than a millisecond would be a busy loop.
    let milliseconds = patience.as_millis().saturating_add(1).min(60_000);
    let timeout = PollTimeout::try_from(i32::try_from(milliseconds).unwrap_or(60_000))
        .unwrap_or(PollTimeout::MAX);
    match poll(&mut polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn link_address(interface: &str) -> Result<LinkAddr, Error> {
    let mut names = Vec::new();
    for entry in getifaddrs().map_err(Error::List)? {
        let link = entry
            .address
            .as_ref()
            .and_then(SockaddrStorage::as_link_addr);
        if let Some(link) = link {
            if entry.interface_name == interface {
                return Ok(*link);
            }
            names.push(entry.interface_name);
        }
    }
    Err(Error::NoInterface(interface.to_owned(), names.join(", ")))
}

//! Servers that answer with what they see, and clients that ask them.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, connect, recv, send,
    setsockopt, socket, sockopt::ReceiveTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::cluster::Pod;
use crate::namespace::Namespace;

const PATIENCE: Duration = Duration::from_secs(3);

/// Answers every connection with the address it came from, then echoes until the client stops.
pub(crate) fn serve_tcp(namespace: &Namespace, ip: Ipv4Addr, port: u16) {
    namespace.run(move || {
        let listener = TcpListener::bind((ip, port)).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || -> io::Result<()> {
                    let peer = stream.peer_addr()?.ip();
                    writeln!(stream, "{peer}")?;
                    let mut reader = stream.try_clone()?;
                    io::copy(&mut reader, &mut stream).map(drop)
                });
            }
        });
    });
}

/// Answers every connection with the address it came from, then takes what comes and closes after it.
pub(crate) fn swallow_tcp(namespace: &Namespace, ip: Ipv4Addr, port: u16) {
    namespace.run(move || {
        let listener = TcpListener::bind((ip, port)).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let peer = stream.peer_addr().unwrap().ip();
                writeln!(stream, "{peer}").unwrap();
                let mut buffer = vec![0; 1 << 17];
                while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
            }
        });
    });
}

/// Answers every connection to one of these ports with the port's number.
pub(crate) fn serve_numbers(namespace: &Namespace, ip: Ipv4Addr, ports: Range<u16>) {
    namespace.run(move || {
        for port in ports {
            let listener = TcpListener::bind((ip, port)).unwrap();
            thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let _gone = stream.write_all(&port.to_be_bytes());
                }
            });
        }
    });
}

/// The ports that so many connections, one after the other, were answered by.
pub(crate) fn ask_numbers(namespace: &Namespace, ip: Ipv4Addr, port: u16, times: u32) -> Vec<u16> {
    namespace.run(move || {
        let ask = |_| {
            let mut answer = [0; 2];
            let mut stream = TcpStream::connect((ip, port)).unwrap();
            stream.read_exact(&mut answer).unwrap();
            u16::from_be_bytes(answer)
        };
        (0..times).map(ask).collect()
    })
}

/// Answers every datagram with the address it came from, a blank, and the datagram.
pub(crate) fn serve_udp(namespace: &Namespace, ip: Ipv4Addr, port: u16) {
    namespace.run(move || {
        let socket = UdpSocket::bind((ip, port)).unwrap();
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            loop {
                let (length, peer) = socket.recv_from(&mut buffer).unwrap();
                let mut answer = format!("{} ", peer.ip()).into_bytes();
                answer.extend_from_slice(&buffer[..length]);
                drop(socket.send_to(&answer, peer));
            }
        });
    });
}

/// A connection and what the server saw as its source.
pub(crate) fn open_tcp(
    namespace: &Namespace,
    ip: Ipv4Addr,
    port: u16,
) -> io::Result<(TcpStream, IpAddr)> {
    namespace.run(move || {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((ip, port)), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut line = Vec::new();
        let mut byte = [0];
        while stream.read(&mut byte)? == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        Ok((stream, String::from_utf8(line).unwrap().parse().unwrap()))
    })
}

/// What a TCP server saw as the client's address.
pub(crate) fn tcp(namespace: &Namespace, ip: Ipv4Addr, port: u16) -> io::Result<IpAddr> {
    open_tcp(namespace, ip, port).map(|(_, seen)| seen)
}

/// Sends bytes through an echoing connection and compares what comes back.
pub(crate) fn echo(stream: &TcpStream, bytes: usize) {
    let mut reader = stream.try_clone().unwrap();
    let mut writer = stream.try_clone().unwrap();
    let sent: Vec<u8> = (0..251).cycle().take(bytes).collect();
    let expected = sent.clone();
    let sender = thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut received = vec![0; bytes];
    reader.read_exact(&mut received).unwrap();
    sender.join().unwrap();
    assert!(received == expected, "the echo differs");
}

/// Whether a byte still comes back through an echoing connection.
pub(crate) fn answers(mut stream: &TcpStream) -> bool {
    stream.write_all(&[7]).is_ok() && stream.read_exact(&mut [0]).is_ok()
}

/// Sends a datagram, up to three times; answers who answered, what the server saw as source, and the length of what it echoed.
pub(crate) fn udp(
    namespace: &Namespace,
    ip: Ipv4Addr,
    port: u16,
    bytes: usize,
) -> io::Result<(SocketAddr, IpAddr, usize)> {
    namespace.run(move || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(PATIENCE / 3))?;
        let mut buffer = vec![0; 65_536];
        let mut answer = Err(io::Error::from(io::ErrorKind::TimedOut));
        // Like every client of UDP: a datagram may be lost, one in pieces more so.
        for _ in 0..3 {
            socket.send_to(&vec![7; bytes], (ip, port))?;
            answer = socket.recv_from(&mut buffer);
            if answer.is_ok() {
                break;
            }
        }
        let (length, from) = answer?;
        let blank = buffer.iter().position(|byte| *byte == b' ').unwrap();
        let seen = std::str::from_utf8(&buffer[..blank])
            .unwrap()
            .parse()
            .unwrap();
        Ok((from, seen, length - blank - 1))
    })
}

/// A datagram from a socket that hears of errors.
pub(crate) fn ask_udp(namespace: &Namespace, ip: Ipv4Addr, port: u16) -> io::Error {
    namespace.run(move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        socket.connect((ip, port)).unwrap();
        socket.send(b"?").unwrap();
        socket.recv(&mut [0; 8]).unwrap_err()
    })
}

/// An ICMP echo of that many bytes; `true` if it was answered.
pub(crate) fn ping(namespace: &Namespace, ip: Ipv4Addr, bytes: usize) -> bool {
    namespace.run(move || {
        let socket = socket(
            AddressFamily::Inet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::Icmp,
        )
        .unwrap();
        setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(2)).unwrap();
        let [a, b, c, d] = ip.octets();
        connect(socket.as_raw_fd(), &SockaddrIn::new(a, b, c, d, 0)).unwrap();
        let mut request = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
        request.resize(8 + bytes, 0);
        // 0x0800 + 0x1234 + 0x0001, in ones' complement; the payload is zero.
        request[2..4].copy_from_slice(&(!0x1a35_u16).to_be_bytes());
        send(socket.as_raw_fd(), &request, MsgFlags::empty()).unwrap();
        let mut buffer = vec![0; 65_536];
        loop {
            let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) else {
                return false;
            };
            // Past the IP header: an answer to our identifier.
            if length >= 28 && buffer[20] == 0 && buffer[24..26] == [0x12, 0x34] {
                return true;
            }
        }
    })
}

/// Sends a whole Ethernet frame out of `eth0`.
#[expect(
    unsafe_code,
    reason = "nix has no safe way to make the address of a packet socket"
)]
pub(crate) fn send_frame(namespace: &Namespace, frame: Vec<u8>) {
    namespace.run(move || {
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .unwrap();
        // SAFETY: all zero is a valid address of this kind; the call reads exactly its size.
        let sent = unsafe {
            let mut to: libc::sockaddr_ll = std::mem::zeroed();
            to.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
            to.sll_ifindex = i32::try_from(if_nametoindex("eth0").unwrap()).unwrap();
            let size = u32::try_from(size_of_val(&to)).unwrap();
            libc::sendto(
                socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const to).cast(),
                size,
            )
        };
        assert_eq!(
            usize::try_from(sent),
            Ok(frame.len()),
            "{}",
            io::Error::last_os_error()
        );
    });
    // The packet passes the node in the background.
    thread::sleep(Duration::from_millis(50));
}

/// Hears every frame in a namespace, also those that its stack does not take.
pub(crate) struct Ear {
    socket: OwnedFd,
    host_mac: [u8; 6],
}

impl Ear {
    /// At a pod, from now on.
    pub(crate) fn at(pod: &Pod) -> Self {
        let socket = pod.namespace.run(|| {
            socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::EthAll,
            )
            .unwrap()
        });
        Self {
            socket,
            host_mac: pod.endpoint.host_mac.0,
        }
    }

    /// The IPv4 packets that came over the pod's link since it was last asked.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        let mut heard = Vec::new();
        let mut buffer = vec![0; 65_536];
        while let Ok(length) = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            if buffer[6..12] == self.host_mac && buffer[12..14] == [8, 0] {
                heard.push(buffer[14..length].to_vec());
            }
        }
        heard
    }
}

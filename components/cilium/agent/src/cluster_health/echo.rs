//! ICMP echo (RFC 792): whether a node's kernel answers, also while its agent does not.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrIn, connect, socket,
};
use tokio::net::UdpSocket;
use tokio::time::timeout;

const ECHO: u8 = 8;
const ECHO_REPLY: u8 = 0;
/// Header and nonce.
const LENGTH: usize = 16;
/// One lost packet is no outage.
const TRIES: u32 = 3;

/// What tells the answer to one request from every other packet; nobody off the path can guess it.
pub(super) type Nonce = u64;

/// A socket for one node. Raw ones get every ICMP packet of the node, so it is connected.
///
/// # Errors
/// Without `CAP_NET_RAW`.
pub(super) fn open(to: Ipv4Addr) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let raw = socket(
        AddressFamily::Inet,
        SockType::Raw,
        flags,
        SockProtocol::Icmp,
    )?;
    connect(raw.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(to, 0)))?;
    // UDP's only in name: the type sends and receives datagrams, and asks the kernel for nothing of UDP.
    UdpSocket::from_std(raw.into())
}

/// How long the answer took; requests are repeated within `limit`.
pub(super) async fn echo(
    socket: &UdpSocket,
    nonce: Nonce,
    limit: Duration,
) -> Result<Duration, String> {
    let pause = limit / TRIES;
    let mut refused = None;
    for sequence in 0..TRIES {
        let began = Instant::now();
        let sequence = u16::try_from(sequence).unwrap_or_default();
        match timeout(pause, once(socket, nonce, sequence)).await {
            Ok(Ok(())) => return Ok(began.elapsed()),
            Ok(Err(error)) => {
                refused = Some(error.to_string());
                tokio::time::sleep(pause.saturating_sub(began.elapsed())).await;
            }
            Err(_) => {}
        }
    }
    Err(refused.unwrap_or_else(|| format!("no answer to {TRIES} echo requests within {limit:?}")))
}

async fn once(socket: &UdpSocket, nonce: Nonce, sequence: u16) -> io::Result<()> {
    socket.send(&request(nonce, sequence)).await?;
    let mut packet = [0; 256];
    loop {
        let length = socket.recv(&mut packet).await?;
        if answers(&packet[..length], nonce, sequence) {
            return Ok(());
        }
    }
}

/// The identifier is part of the nonce as well: routers that translate addresses look at it.
fn request(nonce: Nonce, sequence: u16) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[0] = ECHO;
    packet[4..6].copy_from_slice(&nonce.to_be_bytes()[..2]);
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    packet[8..].copy_from_slice(&nonce.to_be_bytes());
    let sum = checksum(&packet);
    packet[2..4].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// A raw socket shows the IP header, too.
fn answers(packet: &[u8], nonce: Nonce, sequence: u16) -> bool {
    let header = packet
        .first()
        .map_or(0, |first| usize::from(first & 0x0f) * 4);
    let Some(message) = packet.get(header..).filter(|_| header >= 20) else {
        return false;
    };
    message.len() >= LENGTH
        && message[..2] == [ECHO_REPLY, 0]
        && message[4..LENGTH] == request(nonce, sequence)[4..]
}

/// RFC 1071, of an even number of bytes.
fn checksum(packet: &[u8]) -> u16 {
    let words = packet.as_chunks::<2>().0.iter();
    let mut sum: u32 = words.map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = 0x0102_0304_0506_0708;

    /// Somebody who answers the last of so many requests.
    async fn answers_after(requests: u32) -> UdpSocket {
        let node = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let asker = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        asker.connect(node.local_addr().unwrap()).await.unwrap();
        tokio::spawn(async move {
            let mut packet = [0; 100];
            for seen in 1.. {
                let (length, from) = node.recv_from(&mut packet).await.unwrap();
                if seen == requests {
                    let reply = reply_to(packet[..length].to_vec(), 0);
                    node.send_to(&reply, from).await.unwrap();
                }
            }
        });
        asker
    }

    #[tokio::test]
    async fn a_lost_packet_is_no_outage_and_only_the_answered_request_is_measured() {
        let limit = Duration::from_secs(3);
        let took = echo(&answers_after(3).await, NONCE, limit).await.unwrap();
        assert!(took > Duration::ZERO && took < limit / TRIES, "{took:?}");
        let why = echo(&answers_after(4).await, NONCE, limit)
            .await
            .unwrap_err();
        assert_eq!(why, "no answer to 3 echo requests within 3s");
    }

    #[tokio::test]
    async fn what_the_kernel_says_of_the_way_is_told() {
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let asker = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        asker.connect(gone.local_addr().unwrap()).await.unwrap();
        drop(gone);
        let limit = Duration::from_millis(90);
        let why = echo(&asker, NONCE, limit).await.unwrap_err();
        assert!(why.contains("refused"), "{why}");
    }

    fn reply_to(mut message: Vec<u8>, options: usize) -> Vec<u8> {
        message[0] = ECHO_REPLY;
        let mut packet = vec![0; 20 + options];
        packet[0] = 0x45 + u8::try_from(options / 4).unwrap();
        packet.extend(message);
        packet
    }

    #[test]
    fn a_request_has_the_form_and_the_checksum_of_rfc_792() {
        let packet = request(NONCE, 2);
        assert_eq!(packet[..2], [8, 0]);
        assert_eq!(packet[4..], [1, 2, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
        // Sum of all words, the checksum's own included.
        assert_eq!(checksum(&packet), 0);
        assert_eq!(packet[2..4], [0xe6, 0xe7]);
    }

    #[test]
    fn only_the_reply_to_this_very_request_is_an_answer() {
        let request = request(NONCE, 2).to_vec();
        assert!(answers(&reply_to(request.clone(), 0), NONCE, 2));
        assert!(answers(&reply_to(request.clone(), 8), NONCE, 2));
        assert!(!answers(&reply_to(request.clone(), 0), NONCE, 1));
        assert!(!answers(&reply_to(request.clone(), 0), NONCE + 1, 2));
        let mut same = reply_to(request.clone(), 0);
        same[20] = ECHO;
        assert!(
            !answers(&same, NONCE, 2),
            "its own request, which loopback shows"
        );
        let whole = reply_to(request, 0);
        for length in 0..whole.len() {
            assert!(!answers(&whole[..length], NONCE, 2), "{length}");
        }
        assert!(!answers(&[0x4f], NONCE, 2));
    }
}

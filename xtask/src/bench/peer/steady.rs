//! A client that talks all the time and counts what did not work: over one connection, in datagrams, and in new connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{REQUESTS, reset_at_close};

/// Between two requests over the old connection, and between two datagrams.
const BETWEEN: Duration = Duration::from_millis(20);
/// A connection that is silent for so long is broken, whatever TCP would still do for it.
const SILENT: Duration = Duration::from_secs(15);
/// As long as a datagram may be away, or a new connection may take: TCP's first retransmission would still be in time.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was counted.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Requests over connections that stay.
    pub old: Kind,
    /// Datagrams of one flow.
    pub datagrams: Kind,
    /// Connect, one byte there and back, close.
    pub new: Kind,
}

/// One kind of traffic.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// How often it was tried.
    pub tried: u64,
    /// How often in vain.
    pub failed: u64,
    /// The longest time one took that worked.
    pub longest_ms: u64,
    /// What the first failure said.
    pub first: Option<String>,
}

impl Kind {
    fn count(&mut self, begun: Instant, outcome: std::io::Result<()>) {
        self.tried += 1;
        match outcome {
            Ok(()) => {
                let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.longest_ms = self.longest_ms.max(took);
            }
            Err(error) => {
                self.failed += 1;
                self.first.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// Talks until the input ends, then prints what it [`Counted`].
pub fn run(to: SocketAddrV4, per_second: u32) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let old = spawn(&stop, move |stop| old_connection(to, stop));
    let datagrams = spawn(&stop, move |stop| datagrams(to, stop));
    let new = spawn(&stop, move |stop| new_connections(to, per_second, stop));
    let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    stop.store(true, Ordering::Relaxed);
    let joined = |thread: thread::JoinHandle<Kind>| {
        thread
            .join()
            .map_err(|_panic| anyhow::anyhow!("a client panicked"))
    };
    let counted = Counted {
        old: joined(old)?,
        datagrams: joined(datagrams)?,
        new: joined(new)?,
    };
    println!("{}", serde_json::to_string(&counted).context("print")?);
    Ok(())
}

fn spawn(
    stop: &Arc<AtomicBool>,
    work: impl FnOnce(&AtomicBool) -> Kind + Send + 'static,
) -> thread::JoinHandle<Kind> {
    let stop = stop.clone();
    thread::spawn(move || work(&stop))
}

fn old_connection(to: SocketAddrV4, stop: &AtomicBool) -> Kind {
    let mut kind = Kind::default();
    let mut connection: Option<TcpStream> = None;
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let outcome = match connection.take() {
            Some(connection) => Ok(connection),
            None => connect(to, SILENT),
        }
        .and_then(|mut open| {
            exchange(&mut open)?;
            Ok(connection.insert(open))
        });
        kind.count(begun, outcome.map(drop));
        sleep(BETWEEN);
    }
    kind
}

fn new_connections(to: SocketAddrV4, per_second: u32, stop: &AtomicBool) -> Kind {
    let mut kind = Kind::default();
    let between = Duration::from_secs(1) / per_second.max(1);
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let outcome = connect(to, PATIENCE).and_then(|mut open| {
            exchange(&mut open)?;
            reset_at_close(&open).map_err(std::io::Error::other)
        });
        kind.count(begun, outcome);
        // What was missed while one took long is not made up for.
        next = (next + between).max(Instant::now());
        sleep(next.saturating_duration_since(Instant::now()));
    }
    kind
}

fn connect(to: SocketAddrV4, patience: Duration) -> std::io::Result<TcpStream> {
    let mut open = TcpStream::connect_timeout(&to.into(), patience)?;
    open.set_nodelay(true)?;
    open.set_read_timeout(Some(patience))?;
    open.write_all(&[REQUESTS])?;
    Ok(open)
}

fn exchange(open: &mut TcpStream) -> std::io::Result<()> {
    let mut byte = [7];
    open.write_all(&byte)?;
    open.read_exact(&mut byte)
}

fn datagrams(to: SocketAddrV4, stop: &AtomicBool) -> Kind {
    let mut kind = Kind::default();
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(to)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    });
    let socket = match socket {
        Ok(socket) => socket,
        Err(error) => {
            kind.count(Instant::now(), Err(error));
            return kind;
        }
    };
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let outcome = ask(&socket, kind.tried);
        kind.count(begun, outcome);
        sleep(BETWEEN);
    }
    kind
}

/// Waits for the answer to this very datagram; a late one of before is no answer.
fn ask(socket: &UdpSocket, number: u64) -> std::io::Result<()> {
    let question = number.to_be_bytes();
    socket.send(&question)?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let mut answer = [0; 8];
        if socket.recv(&mut answer)? == answer.len() && answer == question {
            return Ok(());
        }
    }
    Err(ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_with_its_time_and_a_failure_with_its_words() {
        let mut kind = Kind::default();
        kind.count(Instant::now(), Ok(()));
        kind.count(Instant::now(), Err(ErrorKind::ConnectionReset.into()));
        kind.count(Instant::now(), Err(ErrorKind::TimedOut.into()));
        assert_eq!((kind.tried, kind.failed), (3, 2));
        assert_eq!(kind.first.as_deref(), Some("connection reset"));
    }

    #[test]
    fn a_server_that_goes_away_breaks_the_old_connection_and_fails_new_ones() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let server = thread::spawn(move || {
            let (mut open, _) = listener.accept().unwrap();
            let mut bytes = [0; 2];
            open.read_exact(&mut bytes).unwrap();
            open.write_all(&bytes[1..]).unwrap();
        });
        let mut open = connect(to, PATIENCE).unwrap();
        exchange(&mut open).unwrap();
        server.join().unwrap();
        assert!(
            exchange(&mut open)
                .and_then(|()| exchange(&mut open))
                .is_err()
        );
        let stop = AtomicBool::new(false);
        let counted = thread::scope(|scope| {
            let client = scope.spawn(|| new_connections(to, 100, &stop));
            sleep(Duration::from_secs(1));
            stop.store(true, Ordering::Relaxed);
            client.join().unwrap()
        });
        assert!(
            counted.tried > 0 && counted.failed == counted.tried,
            "{counted:?}"
        );
    }
}

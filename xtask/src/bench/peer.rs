//! The two ends of measured traffic, started inside network namespaces.
//!
//! A program of our own instead of netperf: Debian ships that in non-free, and qperf knows no connect/request/response.

pub mod pod;
pub mod steady;
pub mod watch;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// First byte of a connection: what the client will do.
const STREAM: u8 = b's';
const REQUESTS: u8 = b'r';

/// Arguments of the hidden `./dev bench peer`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Serve on this port, or speak to it with `--to`.
    #[arg(long)]
    port: u16,
    /// Whom to connect to.
    #[arg(long)]
    to: Option<Ipv4Addr>,
    /// Whom to ask with datagrams each millisecond: says when they begin and cease to come back, until its input ends.
    #[arg(long, conflicts_with = "to")]
    watch: Vec<Ipv4Addr>,
    /// Each of these datagrams from a port of its own.
    #[arg(long, requires = "watch")]
    fresh: bool,
    /// Talk to `--to` until the input ends, with so many new connections a second, and print what failed.
    #[arg(long, requires = "to")]
    steady: Option<u32>,
    /// As a process of the pod whose network this is, for which Services are translated at its sockets.
    #[arg(long, requires = "to")]
    in_pod: bool,
    /// Stay on this processor.
    #[arg(long)]
    processor: Option<usize>,
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// What is measured.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One byte there and back on one connection.
    #[default]
    Rr,
    /// Connect, one byte there and back, close.
    Crr,
    /// As many bytes as fit.
    Stream,
}

/// What a client measured.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Sample {
    /// Median microseconds of one exchange; 0 for a stream.
    pub median_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// Gigabits a second; 0 for exchanges.
    pub gigabits: f64,
}

/// Serves until its input ends, or measures and prints a [`Sample`] as JSON.
pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(processor) = arguments.processor {
        stay_on(processor)?;
    }
    if !arguments.watch.is_empty() {
        return watch::run(&arguments.watch, arguments.port, arguments.fresh);
    }
    let Some(to) = arguments.to else {
        return serve(arguments.port);
    };
    if arguments.in_pod {
        pod::join().context("join the pod's cgroup")?;
    }
    let address = SocketAddrV4::new(to, arguments.port);
    if let Some(per_second) = arguments.steady {
        return steady::run(address, per_second);
    }
    let time = Duration::from_secs_f64(arguments.seconds);
    let sample = match arguments.kind {
        Kind::Rr => requests(address, time)?,
        Kind::Crr => connections(address, time)?,
        Kind::Stream => stream(address, time)?,
    };
    println!(
        "{}",
        serde_json::to_string(&sample).context("print the sample")?
    );
    Ok(())
}

/// Also what this thread starts later.
fn stay_on(processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .with_context(|| format!("stay on processor {processor}"))
}

fn serve(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).context("listen")?;
    let datagrams = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).context("listen for UDP")?;
    end_with_input();
    thread::spawn(move || echo(&datagrams));
    for connection in listener.incoming() {
        let connection = connection.context("accept a connection")?;
        // A client that goes away in the middle ends its own thread only.
        thread::spawn(move || drop(answer(connection)));
    }
    Ok(())
}

/// Namespaces lie between the one who measures and this process, so a signal may never get here; the end of input does.
fn end_with_input() {
    thread::spawn(|| {
        let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
}

fn echo(datagrams: &UdpSocket) {
    let mut buffer = [0; 64];
    // A datagram that was not answered is a lost one, and its sender counts those.
    while let Ok((length, from)) = datagrams.recv_from(&mut buffer) {
        let _lost = datagrams.send_to(&buffer[..length], from);
    }
}

fn answer(mut connection: TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut mode = [0];
    connection.read_exact(&mut mode)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = connection.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        if mode[0] == REQUESTS {
            connection.write_all(&buffer[..read])?;
        }
    }
}

fn connect(address: SocketAddrV4, mode: u8) -> Result<TcpStream> {
    let mut connection =
        TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    connection.set_nodelay(true).context("set TCP_NODELAY")?;
    connection.write_all(&[mode]).context("say what follows")?;
    Ok(connection)
}

fn requests(address: SocketAddrV4, time: Duration) -> Result<Sample> {
    let mut connection = connect(address, REQUESTS)?;
    let mut byte = [7];
    repeated(time, || {
        connection.write_all(&byte).context("send")?;
        connection.read_exact(&mut byte).context("receive")
    })
}

fn connections(address: SocketAddrV4, time: Duration) -> Result<Sample> {
    repeated(time, || {
        let mut connection = connect(address, REQUESTS)?;
        let mut byte = [7];
        connection.write_all(&byte).context("send")?;
        connection.read_exact(&mut byte).context("receive")?;
        reset_at_close(&connection)
    })
}

/// An ordinary close leaves the client's port in TIME_WAIT for a minute: after 28,000 connections most of the time would go
/// into the search for a free one.
fn reset_at_close(connection: &TcpStream) -> Result<()> {
    let at_once = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(connection, sockopt::Linger, &at_once).context("set SO_LINGER")
}

fn repeated(time: Duration, mut exchange: impl FnMut() -> Result<()>) -> Result<Sample> {
    let started = Instant::now();
    let mut micros = Vec::new();
    while started.elapsed() < time {
        let before = Instant::now();
        exchange()?;
        micros.push(before.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Sample {
        median_us: super::statistics::median(&micros),
        p99_us: super::statistics::percentile(&micros, 0.99),
        gigabits: 0.0,
    })
}

fn stream(address: SocketAddrV4, time: Duration) -> Result<Sample> {
    let mut connection = connect(address, STREAM)?;
    let block = vec![0; 1 << 17];
    let started = Instant::now();
    let mut sent = 0.0;
    while started.elapsed() < time {
        match connection.write(&block) {
            #[expect(clippy::cast_precision_loss, reason = "a block is far below 2^52")]
            Ok(bytes) => sent += bytes as f64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => bail!("send: {error}"),
        }
    }
    let gigabits = sent * 8.0 / started.elapsed().as_secs_f64() / 1e9;
    Ok(Sample {
        gigabits,
        ..Sample::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_measures_something_on_loopback() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || drop(answer(connection)));
            }
        });
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let time = Duration::from_millis(20);
        assert!(requests(address, time).unwrap().median_us > 0.0);
        assert!(connections(address, time).unwrap().median_us > 0.0);
        assert!(stream(address, time).unwrap().gigabits > 0.0);
    }

    #[test]
    fn who_is_to_stay_on_a_processor_does_and_so_does_what_it_starts() {
        let ended = thread::spawn(|| {
            stay_on(0).unwrap();
            thread::spawn(|| nix::sched::sched_getaffinity(Pid::from_raw(0)).unwrap()).join()
        });
        let set = ended.join().unwrap().unwrap();
        let on = |processor| set.is_set(processor).unwrap();
        assert_eq!((0..CpuSet::count()).filter(|one| on(*one)).count(), 1);
        assert!(on(0));
        assert!(stay_on(CpuSet::count()).is_err());
    }
}

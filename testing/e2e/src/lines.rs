//! Lines: connections that go on while something happens, counted one by one.
//!
//! They are made by this process in the network of a pod or a node, so they need neither the API server nor kubelet,
//! containerd or a program of the pod's. This process is in no cgroup of a node: packets of these lines to a Service are
//! translated one by one, where a pod's own programs have their socket translated.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use gloonet_lab::{Spot, packet};

use crate::{
    Scene,
    wait::{Progress, until},
};

const REQUEST: &[u8] = b"GET /hostname HTTP/1.1\r\nHost: line\r\n\r\n";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long nobody must have answered before a connection counts as dropped.
const SILENCE: Duration = Duration::from_millis(500);
/// Between two tries.
const PACE: Duration = Duration::from_millis(50);
/// Fewer tries prove nothing.
const ENOUGH: u32 = 10;
/// Time in which every line has begun.
const BEGUN: Duration = Duration::from_secs(20);

/// What is tried on a line, and what must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests over one connection, each answered.
    Old,
    /// Connections one after the other, each with an answered request.
    New,
    /// Connections one after the other, none of which comes to be.
    Closed,
}

/// What came of the tries so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Count {
    tried: u32,
    failed: u32,
    /// The first failure, in words.
    first: Option<String>,
}

#[derive(Debug)]
struct Line {
    name: String,
    count: Arc<Mutex<Count>>,
    thread: JoinHandle<std::result::Result<(), packet::Error>>,
}

/// Lines that run until [`Lines::end`], or until this value goes.
#[derive(Debug, Default)]
pub struct Lines {
    stop: Arc<AtomicBool>,
    lines: Vec<Line>,
}

impl Lines {
    /// Begins a line from a place to an HTTP server of agnhost's.
    pub fn open(
        &mut self,
        scene: &Scene,
        kind: Kind,
        from: (&str, &Spot),
        to: (&str, Ipv4Addr, u16),
    ) -> Result<()> {
        let network = scene.lab.network_of(from.1)?;
        let name = format!("{kind:?}: {} → {}", from.0, to.0);
        let target = SocketAddr::V4(SocketAddrV4::new(to.1, to.2));
        let count = Arc::new(Mutex::new(Count::default()));
        let (own, stop) = (Arc::clone(&count), Arc::clone(&self.stop));
        let thread =
            thread::spawn(move || packet::within(&network, || go_on(kind, target, &own, &stop)));
        self.lines.push(Line {
            name,
            count,
            thread,
        });
        Ok(())
    }

    /// Waits until each line was tried and none has failed: what is broken from the beginning proves nothing.
    pub async fn begun(&self) -> Result<()> {
        until("every line has begun", BEGUN, async || {
            let idle = |line: &&Line| so_far(&line.count).tried < 3;
            let idle = self.lines.iter().filter(idle);
            let idle: Vec<&str> = idle.map(|line| line.name.as_str()).collect();
            Ok(Progress::when(idle.is_empty(), format!("{idle:?}")))
        })
        .await?;
        let wrong =
            (self.lines.iter()).filter_map(|line| complaint(&line.name, &so_far(&line.count), 0));
        let wrong: Vec<String> = wrong.collect();
        if !wrong.is_empty() {
            bail!("already at the beginning: {}", wrong.join("; "));
        }
        Ok(())
    }

    /// Stops the lines; an error unless everything went as it must.
    pub fn end(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let mut wrong = Vec::new();
        for line in std::mem::take(&mut self.lines) {
            match line.thread.join() {
                Ok(entered) => entered?,
                Err(_) => bail!("{}: the line panicked", line.name),
            }
            wrong.extend(complaint(&line.name, &so_far(&line.count), ENOUGH));
        }
        if !wrong.is_empty() {
            bail!("{}", wrong.join("; "));
        }
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn so_far(count: &Mutex<Count>) -> Count {
    let count = count.lock().unwrap_or_else(PoisonError::into_inner);
    count.clone()
}

/// What is to be said of a line; nothing when it is as it must be.
fn complaint(name: &str, count: &Count, enough: u32) -> Option<String> {
    let Count {
        tried,
        failed,
        first,
    } = count;
    if let Some(first) = first {
        return Some(format!("{name}: {failed} of {tried} failed, first {first}"));
    }
    (*tried < enough).then(|| format!("{name}: only {tried} tries"))
}

fn go_on(kind: Kind, to: SocketAddr, count: &Mutex<Count>, stop: &AtomicBool) {
    let began = Instant::now();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        let outcome = match kind {
            Kind::Old => again(&mut kept, to),
            Kind::New => connect(to).and_then(|mut stream| ask(&mut stream)),
            Kind::Closed => silent(to),
        };
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        count.tried += 1;
        if let Err(error) = outcome {
            count.failed += 1;
            let since = began.elapsed().as_secs_f32();
            count
                .first
                .get_or_insert_with(|| format!("after {since:.1} s: {error}"));
            // A connection that is broken is not made whole by another one.
            if kind == Kind::Old {
                return;
            }
        }
        drop(count);
        thread::sleep(PACE);
    }
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn again(kept: &mut Option<TcpStream>, to: SocketAddr) -> io::Result<()> {
    let stream = match kept {
        Some(stream) => stream,
        None => kept.insert(connect(to)?),
    };
    ask(stream)
}

fn ask(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(REQUEST)?;
    let mut said = Vec::new();
    let mut part = [0; 1024];
    while !is_whole(&said)? {
        match stream.read(&mut part)? {
            0 => {
                return Err(io::Error::new(
                    ErrorKind::UnexpectedEof,
                    "the connection was closed",
                ));
            }
            length => said.extend(&part[..length]),
        }
    }
    Ok(())
}

/// Whether all of an answer is there; an error when it says anything but 200.
fn is_whole(said: &[u8]) -> io::Result<bool> {
    let said = String::from_utf8_lossy(said);
    let Some((head, body)) = said.split_once("\r\n\r\n") else {
        return Ok(false);
    };
    if !head.starts_with("HTTP/1.1 200") {
        return Err(io::Error::other(format!("the answer is {head}")));
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let length = name.eq_ignore_ascii_case("content-length");
        length.then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(length.is_none_or(|length| body.len() >= length))
}

/// An error when anybody answers, be it to refuse: then packets got through.
fn silent(to: SocketAddr) -> io::Result<()> {
    match TcpStream::connect_timeout(&to, SILENCE) {
        Ok(_) => Err(io::Error::other("it was let in")),
        Err(error) => match error.kind() {
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                Ok(())
            }
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests;

//! A beat: one socket of UDP that asks about once a millisecond, and when it was answered last. It shows to the millisecond when
//! something that is open already comes to its end.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use gloonet_lab::{Spot, packet};

use crate::Scene;

/// What agnhost's `netexec` answers with its name.
const QUESTION: &[u8] = b"hostname";
const PACE: Duration = Duration::from_millis(1);

/// What came back so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// How many answers.
    pub answers: u32,
    /// When the last one came.
    pub last: Option<Instant>,
}

type Entered = std::result::Result<io::Result<()>, packet::Error>;

/// Goes on until [`Beat::end`], or until this value goes.
#[derive(Debug)]
pub struct Beat {
    stop: Arc<AtomicBool>,
    heard: Arc<Mutex<Heard>>,
    thread: Option<JoinHandle<Entered>>,
}

impl Beat {
    /// Begins in the network of a place, to a UDP server of agnhost's.
    pub fn begin(scene: &Scene, from: &Spot, to: (Ipv4Addr, u16)) -> Result<Self> {
        let network = scene.lab.network_of(from)?;
        let (stop, heard) = (Arc::default(), Arc::default());
        let (own_stop, own_heard) = (Arc::clone(&stop), Arc::clone(&heard));
        let beat = move || go_on(to.into(), &own_heard, &own_stop);
        let thread = thread::spawn(move || packet::within(&network, beat));
        Ok(Self {
            stop,
            heard,
            thread: Some(thread),
        })
    }

    /// What came back so far.
    pub fn heard(&self) -> Heard {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops; an error if it could not be begun.
    pub fn end(mut self) -> Result<Heard> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread
                .join()
                .map_err(|_| anyhow!("the beat panicked"))???;
        }
        Ok(self.heard())
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn go_on(to: SocketAddr, heard: &Mutex<Heard>, stop: &AtomicBool) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PACE))?;
    let mut answer = [0; 256];
    while !stop.load(Ordering::Relaxed) {
        let next = Instant::now() + PACE;
        // What is refused on the way was not answered, and the next one is asked all the same.
        if socket.send(QUESTION).is_ok() {
            // All there are: what is late would wait behind what is late, and the last one would seem to have come later.
            while socket.recv(&mut answer).is_ok() {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.answers += 1;
                heard.last = Some(Instant::now());
            }
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_is_the_last_that_was_given() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = server.local_addr().unwrap();
        let (heard, stop) = (Mutex::default(), AtomicBool::new(false));
        let given = thread::scope(|scope| {
            let beat = scope.spawn(|| go_on(at, &heard, &stop));
            let mut question = [0; 64];
            for _ in 0..50 {
                let (length, from) = server.recv_from(&mut question).unwrap();
                server.send_to(&question[..length], from).unwrap();
            }
            let given = Instant::now();
            thread::sleep(Duration::from_secs(2));
            stop.store(true, Ordering::Relaxed);
            beat.join().unwrap().unwrap();
            given
        });
        let heard = *heard.lock().unwrap();
        assert!((1..=50).contains(&heard.answers), "{heard:?}");
        let late = heard.last.unwrap().saturating_duration_since(given);
        assert!(late < Duration::from_secs(1), "{late:?}");
    }
}

//! In the place of `test-connection-disruption`: a client that keeps one connection, asks over it all the time, and ends with an
//! error as soon as an answer does not come. The kubelet starts it again, and cilium-cli counts how often.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Shorter than anybody would wait for an answer, longer than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between questions, where cilium-cli says 0.
const INTERVAL: Duration = Duration::from_millis(50);
const QUESTION: &[u8; 8] = b"still on";

/// Answers every connection with what it sends.
pub fn serve(listener: &TcpListener, ready: &Path) -> Result<()> {
    fs::write(ready, "").context("say that the server is ready")?;
    for stream in listener.incoming() {
        let stream = stream.context("accept a connection")?;
        thread::spawn(move || {
            let peer = stream.peer_addr();
            if let Err(error) = answer(stream) {
                eprintln!("STAND-IN connection of {peer:?}: {error}");
            }
        });
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; QUESTION.len()];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}

/// Asks until an answer does not come, and says why.
pub fn keep(address: &str, interval: Duration, ready: &Path) -> Result<()> {
    let interval = if interval.is_zero() {
        INTERVAL
    } else {
        interval
    };
    let mut stream = connect(address)?;
    loop {
        ask(&mut stream).with_context(|| format!("the connection to {address} broke"))?;
        fs::write(ready, "").context("say that the client is connected")?;
        thread::sleep(interval);
    }
}

fn connect(address: &str) -> Result<TcpStream> {
    let mut found = address.to_socket_addrs().context("find the server")?;
    let found = found.next().context("the server's name has no address")?;
    let stream = TcpStream::connect_timeout(&found, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(QUESTION)?;
    let mut answer = [0; QUESTION.len()];
    stream.read_exact(&mut answer)?;
    if answer != *QUESTION {
        bail!("another answer than the question came back");
    }
    Ok(())
}

/// A time as cilium-cli writes it: `0s`, `500ms`.
pub fn interval(text: &str) -> Result<Duration, String> {
    let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
    if let Some(number_of) = text.strip_suffix("ms") {
        return number(number_of).map(Duration::from_millis);
    }
    match text.strip_suffix('s') {
        Some(number_of) => number(number_of).map(Duration::from_secs),
        None => Err(format!("{text}: want a number of s or ms")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_stays_while_it_is_answered_and_ends_when_the_connection_does() {
        let folder = std::env::temp_dir().join(format!("stand-ins-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let ready = folder.join("client-ready");
        let client = {
            let ready = ready.clone();
            thread::spawn(move || keep(&address, Duration::from_millis(1), &ready))
        };
        let (mut stream, _) = listener.accept().unwrap();
        for _ in 0..3 {
            let mut question = *QUESTION;
            stream.read_exact(&mut question).unwrap();
            stream.write_all(&question).unwrap();
        }
        assert!(!client.is_finished());
        assert!(ready.exists());
        drop(stream);
        let error = client.join().unwrap().unwrap_err().to_string();
        assert!(error.contains("broke"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_server_answers_what_it_is_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || answer(listener.accept().unwrap().0));
        let mut stream = connect(&address).unwrap();
        ask(&mut stream).unwrap();
        ask(&mut stream).unwrap();
    }

    #[test]
    fn intervals_are_read_as_cilium_cli_writes_them() {
        assert_eq!(interval("0s"), Ok(Duration::ZERO));
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        assert!(interval("1m0s").is_err());
    }
}

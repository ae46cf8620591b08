//! Asks a node's agent whether it is there.

use std::io;
use std::net::SocketAddrV4;
use std::pin::pin;
use std::time::{Duration, Instant};

use cilium_cni::error::chain;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The least hyper takes; an answer is a hundred bytes.
const HEAD_MAX: usize = 8 << 10;

#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("cannot make a request")]
    Request(#[source] http::Error),
    #[error("no HTTP answer")]
    Answer(#[source] hyper::Error),
    #[error(
        "it closed the connection without an answer; it does not take this node for one of the cluster's, or has too many questions"
    )]
    Closed,
    #[error("it answered {0}")]
    Status(StatusCode),
}

/// How long the answer took.
pub(super) async fn hello(address: SocketAddrV4, limit: Duration) -> Result<Duration, String> {
    let began = Instant::now();
    match tokio::time::timeout(limit, ask(address)).await {
        Ok(Ok(())) => Ok(began.elapsed()),
        Ok(Err(why)) => Err(chain(&why)),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

/// Nothing of the body is read: the status says it all.
async fn ask(address: SocketAddrV4) -> Result<(), Unheard> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(Unheard::Connect)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(Unheard::Answer)?;
    let request = Request::get("/hello")
        .header(header::HOST, address.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(Unheard::Request)?;
    let mut asking = pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = &mut asking => answer,
        // An answer that came with the end is there by now, and why there is none otherwise.
        _ = connection => asking.await,
    };
    match answer.map_err(unheard)?.status() {
        StatusCode::OK => Ok(()),
        other => Err(Unheard::Status(other)),
    }
}

fn unheard(error: hyper::Error) -> Unheard {
    let closed = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    if closed {
        Unheard::Closed
    } else {
        Unheard::Answer(error)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    async fn listen() -> (TcpListener, SocketAddrV4) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            panic!("not what was asked for")
        };
        (listener, address)
    }

    /// Somebody who reads a question and says `words`, then closes.
    async fn says(words: &'static [u8]) -> SocketAddrV4 {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = [0; 1000];
            let length = stream.read(&mut question).await.unwrap();
            assert!(question[..length].starts_with(b"GET /hello HTTP/1.1\r\n"));
            stream.write_all(words).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn the_time_an_answer_took_is_measured() {
        let address = says(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n").await;
        let took = hello(address, LIMIT).await.unwrap();
        assert!(took > Duration::ZERO && took < LIMIT, "{took:?}");
    }

    #[tokio::test]
    async fn another_status_is_a_failure_and_is_named() {
        let address = says(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
        let why = hello(address, LIMIT).await.unwrap_err();
        assert_eq!(why, "it answered 404 Not Found");
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_refused() {
        let (listener, address) = listen().await;
        drop(listener);
        let why = hello(address, LIMIT).await.unwrap_err();
        assert!(why.contains("Connection refused"), "{why}");
    }

    #[tokio::test]
    async fn who_is_closed_without_an_answer_is_told_why_that_may_be() {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.shutdown().await.unwrap();
            // What the other one has said meanwhile must not make a reset of it.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let why = hello(address, LIMIT).await.unwrap_err();
        assert!(why.starts_with("it closed the connection"), "{why}");
    }

    #[tokio::test]
    async fn who_does_not_answer_in_time_is_not_waited_for() {
        let (_listener, address) = listen().await;
        let why = hello(address, LIMIT).await.unwrap_err();
        assert_eq!(why, "no answer within 2s");
    }

    #[tokio::test]
    async fn an_answer_without_end_and_one_that_is_no_http_are_failures() {
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(64 << 10));
        let endless: &'static [u8] = Box::leak(endless.into_bytes().into_boxed_slice());
        for words in [endless, &b"220 mail ready\r\n\r\n"[..]] {
            let why = hello(says(words).await, LIMIT).await.unwrap_err();
            assert!(why.starts_with("no HTTP answer"), "{why}");
        }
    }
}

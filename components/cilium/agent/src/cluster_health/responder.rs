//! Answers nodes that ask whether they reach this one. Nobody else gets a byte.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// Connections at once; a node that asks needs one, for a millisecond.
const PLACES: usize = 64;
/// For a whole connection, however slowly it asks.
const LIMIT: Duration = Duration::from_secs(5);
/// The least hyper takes; a question is a hundred bytes.
const HEAD_MAX: usize = 8 << 10;
/// Accepting fails when descriptors run out; without a pause that would be a busy loop.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves for ever.
pub async fn serve(listener: TcpListener, nodes: watch::Receiver<BTreeSet<Ipv4Addr>>) {
    let places = Arc::new(Semaphore::new(PLACES));
    loop {
        let (stream, asker) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "A question for cluster health cannot be accepted");
                sleep(PAUSE).await;
                continue;
            }
        };
        if !is_node(asker.ip(), &nodes.borrow()) {
            continue;
        }
        // Without a place it is closed: the asker tries again, and the places are free within the limit.
        let Ok(place) = places.clone().try_acquire_owned() else {
            continue;
        };
        tokio::spawn(async move {
            let _ = timeout(LIMIT, answer(stream)).await;
            drop(place);
        });
    }
}

fn is_node(asker: IpAddr, nodes: &BTreeSet<Ipv4Addr>) -> bool {
    matches!(asker, IpAddr::V4(asker) if nodes.contains(&asker))
}

async fn answer(stream: TcpStream) -> hyper::Result<()> {
    let reply = service_fn(|request| async move { Ok::<_, Infallible>(reply(&request)) });
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), reply)
        .await
}

/// The same for every node; what a request has beside its path is not looked at.
fn reply(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let asks = request.method() == Method::GET && request.uri().path() == "/hello";
    let mut response = Response::new(Full::from(if asks { "ok\n" } else { "" }));
    if !asks {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpSocket;

    use super::*;

    const HELLO: &[u8] = b"GET /hello HTTP/1.1\r\nHost: node\r\n\r\n";

    async fn responder() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let nodes = watch::channel(BTreeSet::from([Ipv4Addr::LOCALHOST])).1;
        tokio::spawn(serve(listener, nodes));
        address
    }

    async fn connect(from: &str, to: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(to).await.unwrap()
    }

    /// All that comes until the other end closes.
    async fn hear(stream: &mut TcpStream) -> String {
        let mut heard = Vec::new();
        let reading = stream.read_to_end(&mut heard);
        // A connection that is reset has ended, too.
        let _ = timeout(LIMIT * 2, reading)
            .await
            .expect("the connection is closed");
        String::from_utf8(heard).unwrap()
    }

    async fn ask(from: &str, to: SocketAddr, question: &[u8]) -> String {
        let mut stream = connect(from, to).await;
        // May fail when the other end has closed already.
        let _ = stream.write_all(question).await;
        hear(&mut stream).await
    }

    #[tokio::test]
    async fn a_node_that_says_hello_is_answered_and_every_other_question_is_not_found() {
        let address = responder().await;
        let heard = ask("127.0.0.1", address, HELLO).await;
        assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"), "{heard}");
        assert!(heard.ends_with("\r\n\r\nok\n"), "{heard}");
        for question in [
            "GET / ",
            "GET /hello/x ",
            "POST /hello ",
            "GET /healthz ",
            "DELETE /hello ",
        ] {
            let question = format!("{question}HTTP/1.1\r\nHost: node\r\n\r\n");
            let heard = ask("127.0.0.1", address, question.as_bytes()).await;
            assert!(
                heard.starts_with("HTTP/1.1 404 Not Found\r\n"),
                "{question}{heard}"
            );
            assert!(heard.ends_with("\r\n\r\n"), "{heard}");
        }
    }

    #[tokio::test]
    async fn who_is_no_node_is_closed_without_a_byte() {
        let address = responder().await;
        assert_eq!(ask("127.0.0.2", address, HELLO).await, "");
        assert_eq!(hear(&mut connect("127.0.0.2", address).await).await, "");
        assert!(!ask("127.0.0.1", address, HELLO).await.is_empty());
    }

    #[tokio::test]
    async fn a_node_that_is_no_longer_one_is_not_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (nodes, known) = watch::channel(BTreeSet::from([Ipv4Addr::LOCALHOST]));
        tokio::spawn(serve(listener, known));
        assert!(!ask("127.0.0.1", address, HELLO).await.is_empty());
        nodes.send_replace(BTreeSet::new());
        assert_eq!(ask("127.0.0.1", address, HELLO).await, "");
    }

    #[tokio::test]
    async fn who_asks_too_slowly_is_closed() {
        let address = responder().await;
        let mut slow = connect("127.0.0.1", address).await;
        slow.write_all(b"GET /hello HTTP/1.1\r\n").await.unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(hear(&mut slow).await, "");
        assert!(began.elapsed() < LIMIT + Duration::from_secs(2));
    }

    #[tokio::test]
    async fn a_large_head_is_refused_and_a_large_body_is_not_read() {
        let address = responder().await;
        let question = format!(
            "GET /hello HTTP/1.1\r\nHost: node\r\nX: {}\r\n\r\n",
            "x".repeat(64 << 10)
        );
        let heard = ask("127.0.0.1", address, question.as_bytes()).await;
        assert!(!heard.contains("200 OK"), "{heard}");
        let mut stream = connect("127.0.0.1", address).await;
        let question = b"POST /hello HTTP/1.1\r\nHost: node\r\nContent-Length: 1000000000\r\n\r\n";
        stream.write_all(question).await.unwrap();
        let heard = hear(&mut stream).await;
        assert!(heard.starts_with("HTTP/1.1 404"), "{heard}");
    }

    #[tokio::test]
    async fn when_all_places_are_taken_one_more_is_closed_until_one_is_free() {
        let address = responder().await;
        let mut waiting = Vec::new();
        for _ in 0..PLACES {
            waiting.push(connect("127.0.0.1", address).await);
        }
        assert_eq!(ask("127.0.0.1", address, HELLO).await, "");
        waiting.pop();
        for _ in 0..100 {
            if !ask("127.0.0.1", address, HELLO).await.is_empty() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("the place is not given back");
    }
}

use axum::{
    body::{Body, Bytes},
    routing::get,
};
use futures::stream;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    sync::Notify,
};

use super::*;

/// `/slow` was asked, by the one test that does so.
static ASKED: Notify = Notify::const_new();
const GOOD: &[u8] = b"GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

async fn page(stop: CancellationToken) -> SocketAddr {
    let listener = bind("127.0.0.1:0".parse().unwrap(), "a test")
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let slow = get(async || {
        ASKED.notify_one();
        sleep(Duration::from_millis(300)).await;
        "late"
    });
    let endless = get(async || {
        let piece = Bytes::from(vec![b'x'; 1 << 16]);
        Body::from_stream(stream::repeat(Ok::<_, Infallible>(piece)))
    });
    let routes = Router::new()
        .route("/page", get(async || "ok"))
        .route("/slow", slow)
        .route("/endless", endless);
    serve(listener, routes, stop);
    address
}

/// All that comes until the other end closes; what is not taken of `question` is the other end's word, too.
async fn ask(address: SocketAddr, question: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _refused = stream.write_all(question).await;
    hear(&mut stream).await
}

async fn hear(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    let reading = stream.read_to_end(&mut heard);
    // A connection that is reset has ended, too.
    let _ended = timeout(HEAD * 2, reading)
        .await
        .expect("the connection is closed");
    String::from_utf8(heard).unwrap()
}

async fn is_served(address: SocketAddr) {
    let heard = ask(address, GOOD).await;
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n\r\nok"), "{heard}");
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused_and_the_next_question_is_answered() {
    let address = page(CancellationToken::new()).await;
    let question = |length: usize| {
        let long = "x".repeat(length);
        format!("GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: {long}\r\n\r\n")
    };
    let heard = ask(address, question(HEAD_MAX / 2).as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n"), "{heard}");
    let heard = ask(address, question(HEAD_MAX).as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 431 "), "{heard}");
    // One that never ends is given up where the limit is, and not kept: far more than this is not even taken.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /page HTTP/1.1\r\n").await.unwrap();
    let line = format!("X: {}\r\n", "x".repeat(1000));
    let mut taken = 0usize;
    while taken < 64 << 20 && stream.write_all(line.as_bytes()).await.is_ok() {
        taken += line.len();
    }
    assert!(taken < 64 << 20);
    is_served(address).await;
}

#[tokio::test]
async fn a_body_is_not_read_however_large_it_says_it_is_or_unpacks_to() {
    let address = page(CancellationToken::new()).await;
    for head in [
        "Content-Length: 1000000000000",
        "Transfer-Encoding: chunked",
        "Content-Encoding: gzip\r\nContent-Length: 1000000",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let question = format!("POST /page HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n");
        stream.write_all(question.as_bytes()).await.unwrap();
        let heard = hear(&mut stream).await;
        assert!(heard.starts_with("HTTP/1.1 405 "), "{head}: {heard}");
    }
    is_served(address).await;
}

#[tokio::test]
async fn who_asks_too_slowly_is_closed() {
    let address = page(CancellationToken::new()).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /page HTTP/1.1\r\n").await.unwrap();
    let began = tokio::time::Instant::now();
    let heard = hear(&mut slow).await;
    assert!(!heard.contains("200 OK"), "{heard}");
    assert!(began.elapsed() < HEAD + Duration::from_secs(3));
}

/// A connection from another loopback address, as from another machine.
async fn from(peer: &str, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{peer}:0").parse().unwrap()).unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test]
async fn idle_connections_of_one_address_keep_nobody_else_waiting_and_those_beyond_its_share_are_closed()
 {
    let address = page(CancellationToken::new()).await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(from("127.0.0.9", address).await);
    }
    // Less than a kubelet waits, and than the time for a head.
    let answered = timeout(Duration::from_secs(1), is_served(address)).await;
    answered.expect("it is answered in time");
    let last = hear(idle.last_mut().unwrap());
    let closed = timeout(Duration::from_secs(1), last).await;
    assert_eq!(closed.expect("closed unread"), "");
    // What has a place keeps it, and what comes free is there for the next.
    let first = &mut idle[0];
    first.write_all(GOOD).await.unwrap();
    let heard = hear(first).await;
    assert!(heard.ends_with("\r\n\r\nok"), "{heard}");
    let mut next = from("127.0.0.9", address).await;
    next.write_all(GOOD).await.unwrap();
    let heard = hear(&mut next).await;
    assert!(heard.ends_with("\r\n\r\nok"), "{heard}");
}

#[tokio::test]
async fn an_answer_under_way_is_given_after_stop_and_nothing_new_is_taken() {
    let stop = CancellationToken::new();
    let address = page(stop.clone()).await;
    let question = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
    let asked = tokio::spawn(async move { ask(address, question).await });
    ASKED.notified().await;
    stop.cancel();
    let stopped = tokio::time::Instant::now();
    let heard = asked.await.unwrap();
    assert!(heard.ends_with("late"), "{heard}");
    // With the answer, and not when the grace is over.
    assert!(stopped.elapsed() < GRACE / 2, "the connection stays open");
    assert!(TcpStream::connect(address).await.is_err());
}

/// The clock goes on as soon as nobody has anything to do.
#[tokio::test(start_paused = true)]
async fn a_connection_has_an_end_however_often_it_asks() {
    let address = page(CancellationToken::new()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let began = tokio::time::Instant::now();
    let mut answer = [0; 1024];
    loop {
        let asked = stream.write_all(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
        if asked.await.is_err() || stream.read(&mut answer).await.unwrap_or(0) == 0 {
            break;
        }
        assert!(began.elapsed() < LIFE * 2, "it is served for ever");
        // Well before the time for a head is up.
        sleep(HEAD / 2).await;
    }
    assert!(began.elapsed() >= LIFE, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_an_answer_loses_the_connection_in_the_end() {
    let address = page(CancellationToken::new()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let question = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(question).await.unwrap();
    sleep(LIFE + GRACE + HEAD).await;
    // What the sockets still hold, and then the end.
    let mut heard = 0;
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        heard += length;
        assert!(heard < 64 << 20, "the answer goes on");
    }
    assert!(heard > 0);
}

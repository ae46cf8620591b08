use std::net::TcpListener;

use super::*;

/// Answers `answers` requests on each connection, then closes it.
fn server(answers: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            for _ in 0..answers {
                let mut request = [0; 256];
                if stream.read(&mut request).unwrap_or(0) == 0 {
                    break;
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nweb";
                stream.write_all(answer).unwrap();
            }
        }
    });
    address
}

/// What a line counts that runs for a while.
fn counted(kind: Kind, to: SocketAddr) -> Count {
    let count = Mutex::new(Count::default());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| go_on(kind, to, &count, &stop));
        thread::sleep(PACE * 6);
        stop.store(true, Ordering::Relaxed);
    });
    count.into_inner().unwrap()
}

#[test]
fn a_server_that_answers_breaks_neither_an_old_line_nor_a_new_one() {
    for (kind, answers) in [(Kind::Old, usize::MAX), (Kind::New, 1)] {
        let count = counted(kind, server(answers));
        assert!(count.tried > 2, "{count:?}");
        assert_eq!((count.failed, count.first), (0, None));
    }
}

#[test]
fn an_old_line_ends_with_its_connection_although_a_new_one_could_be_made() {
    let count = counted(Kind::Old, server(2));
    assert_eq!((count.tried, count.failed), (3, 1));
}

#[test]
fn whoever_answers_on_a_closed_line_is_told_of_also_when_he_refuses() {
    let count = counted(Kind::Closed, server(1));
    assert!(count.failed > 0 && count.failed == count.tried, "{count:?}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let refused = counted(Kind::Closed, address);
    assert!(refused.first.unwrap().contains("refused"));
}

#[test]
fn an_answer_is_whole_with_its_last_byte_and_good_only_with_200() {
    let good = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n";
    assert!(!is_whole(b"HTTP/1.1 200 OK\r\n").unwrap());
    assert!(!is_whole(format!("{good}we").as_bytes()).unwrap());
    assert!(is_whole(format!("{good}web").as_bytes()).unwrap());
    assert!(is_whole(b"HTTP/1.1 503 no\r\n\r\n").is_err());
}

#[test]
fn a_line_that_failed_or_was_hardly_tried_is_complained_of() {
    let count = |tried, failed: u32| Count {
        tried,
        failed,
        first: (failed > 0).then(|| "after 1.0 s: no".to_owned()),
    };
    assert_eq!(complaint("a", &count(20, 0), ENOUGH), None);
    assert_eq!(
        complaint("a", &count(3, 0), ENOUGH).unwrap(),
        "a: only 3 tries"
    );
    let failed = complaint("a", &count(20, 2), ENOUGH).unwrap();
    assert_eq!(failed, "a: 2 of 20 failed, first after 1.0 s: no");
}

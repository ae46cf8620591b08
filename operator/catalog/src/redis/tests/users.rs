//! The real program with the rendered file: what each user may do, and what not.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::SecretKind;
use crate::component::tests::{input, program};
use crate::redis::objects;
use crate::trust::{self, RedisUser};

/// Ends with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Server {
    /// With a line for each user, as the cluster crate makes it but for the password.
    fn start(program: &Path, folder: &Path) -> Self {
        let bound = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = bound.local_addr().unwrap().port();
        drop(bound);
        for spec in trust::secrets(&input()) {
            if let SecretKind::RedisUser {
                username, rules, ..
            } = spec.kind
            {
                let line = format!("user {username} on >secret {rules}\n");
                std::fs::write(folder.join(format!("{username}.acl")), line).unwrap();
            }
        }
        let local = objects::configuration(&input())
            .unwrap()
            .replace("bind 0.0.0.0", "bind 127.0.0.1")
            .replace("port 6379", &format!("port {port}"))
            .replace("/etc/redis/users", folder.to_str().unwrap())
            .replace("dir /data", &format!("dir {}", folder.display()));
        let file = folder.join("redis.conf");
        std::fs::write(&file, local).unwrap();
        let child = Command::new(program)
            .arg(&file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, port }
    }

    fn connect(&self) -> Connection {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                let limit = Some(Duration::from_secs(5));
                stream.set_read_timeout(limit).unwrap();
                return Connection(BufReader::new(stream));
            }
            assert!(Instant::now() < deadline, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    /// The first line of the answer.
    fn say(&mut self, line: &str) -> String {
        let text = format!("{line}\r\n");
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        self.0.read_line(&mut answer).unwrap();
        answer
    }
}

/// What the part does; each answer is one line.
fn own(user: RedisUser) -> &'static [&'static str] {
    match user {
        RedisUser::Operator => &[
            "PING",
            "SET gloonet:probe:west 1 EX 60",
            "DEL gloonet:probe:west",
            "XREVRANGE gloonet:v1:logs:west:probe:gateway-0 + - COUNT 1",
        ],
        RedisUser::ManagementServer => &[
            "WATCH gloonet:v1:fence:west",
            "GET gloonet:v1:fence:west",
            "UNWATCH",
            "MULTI",
            "EXEC",
            "MULTI",
            "SET gloonet:v1:fence:west 1 EX 60",
            "DEL gloonet:v1:snapshot:west",
            "HSET gloonet:v1:snapshot:west head 1",
            "HGET gloonet:v1:snapshot:west head",
            "HDEL gloonet:v1:snapshot:west 0",
        ],
        RedisUser::Sink => &[
            "PING",
            "MGET gloonet:v1:seen:0a",
            "MULTI",
            "EXEC",
            "MULTI",
            "XADD gloonet:v1:logs:west:analyzer:nodes:0 MAXLEN 2 * r 1",
            "SET gloonet:v1:seen:0a 1 EX 900",
            "EXPIRE gloonet:v1:logs:west:analyzer:nodes:0 60",
        ],
        RedisUser::Insights => &[
            "XREVRANGE gloonet:v1:logs:west:analyzer:nodes:0 + - COUNT 2",
            "HGET gloonet:v1:snapshot:west head",
            "MULTI",
            "EXEC",
            "MULTI",
            "HSET gloonet:v1:insights:west a b",
            "HDEL gloonet:v1:insights:west a",
            "EXPIRE gloonet:v1:insights:west 60",
        ],
    }
}

/// What belongs to others: their keys, or words that the part has no use for.
fn foreign(user: RedisUser) -> &'static [&'static str] {
    match user {
        RedisUser::Operator => &[
            "XREVRANGE gloonet:v1:logs:west:analyzer:nodes:0 + - COUNT 1",
            "GET gloonet:v1:snapshot:west",
            "DEL gloonet:v1:snapshot:west",
            "SET gloonet:v1:insights:west 1",
        ],
        RedisUser::ManagementServer => &[
            "HGETALL gloonet:v1:insights:west",
            "DEL gloonet:v1:logs:west:analyzer:nodes:0",
            "XREVRANGE gloonet:v1:logs:west:analyzer:nodes:0 + -",
        ],
        RedisUser::Sink => &[
            "DEL gloonet:v1:snapshot:west",
            "SET gloonet:v1:snapshot:west 1",
            "HGETALL gloonet:v1:snapshot:west",
            "XREVRANGE gloonet:v1:logs:west:analyzer:nodes:0 + -",
        ],
        RedisUser::Insights => &[
            "HSET gloonet:v1:snapshot:west head 1",
            "EXPIRE gloonet:v1:logs:west:analyzer:nodes:0 1",
            "XADD gloonet:v1:logs:west:analyzer:nodes:0 * r 1",
            "DEL gloonet:v1:insights:west",
        ],
    }
}

const NOBODYS: [&str; 9] = [
    "KEYS *",
    "SCAN 0",
    "FLUSHALL",
    "CONFIG GET dir",
    "CLIENT LIST",
    "ACL LIST",
    "EVAL return 0",
    "PUBLISH a b",
    "GET somebody",
];

#[test]
fn each_part_does_its_own_in_redis_and_nothing_else() {
    let Some(program) = program("redis-server") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&program, folder.path());
    let mut stranger = server.connect();
    let refused = stranger.say("SET gloonet:probe:west 1");
    assert!(refused.starts_with("-NOAUTH"), "{refused}");
    for user in RedisUser::ALL {
        let name = user.name();
        let wrong = stranger.say(&format!("AUTH {name} wrong"));
        assert!(wrong.starts_with("-WRONGPASS"), "{name}: {wrong}");
        let mut connection = server.connect();
        assert_eq!(connection.say(&format!("AUTH {name} secret")), "+OK\r\n");
        for line in foreign(user).iter().chain(&NOBODYS) {
            let answer = connection.say(line);
            assert!(answer.starts_with("-NOPERM"), "{name}: {line}: {answer}");
        }
        for line in own(user) {
            let answer = connection.say(line);
            assert!(!answer.starts_with('-'), "{name}: {line}: {answer}");
        }
    }
}

/// Its answer has many lines.
#[test]
fn only_the_operator_is_told_how_redis_is() {
    let Some(program) = program("redis-server") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&program, folder.path());
    for user in RedisUser::ALL {
        let mut connection = server.connect();
        connection.say(&format!("AUTH {} secret", user.name()));
        let told = connection.say("INFO").starts_with('$');
        assert_eq!(told, user == RedisUser::Operator, "{}", user.name());
    }
}

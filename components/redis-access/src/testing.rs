//! A redis-server for tests.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "what a test needs fails the test it serves"
)]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use tempfile::TempDir;

/// For what a test asks of it itself. The library's half a second is short where everything is being built at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// It listens on the loopback, keeps no snapshots, and goes with this value.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    password: Option<&'static str>,
    arguments: Vec<String>,
    folder: TempDir,
}

impl RedisServer {
    /// One that anybody may ask; `arguments` beside those it needs.
    pub fn start(arguments: &[&str]) -> Self {
        Self::new(None, arguments)
    }

    /// One that asks for a password.
    pub fn with_password(password: &'static str, arguments: &[&str]) -> Self {
        Self::new(Some(password), arguments)
    }

    /// One that speaks TLS only. Who signed its certificate, which names 127.0.0.1, is in the file `ca.crt`.
    pub fn over_tls() -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        let of_clients = ["--tls-auth-clients", "no", "--tls-ca-cert-file", "ca.crt"];
        let own = [
            "--tls-cert-file",
            "tls.crt",
            "--tls-key-file",
            "tls.key",
            "--port",
            "0",
        ];
        let arguments = [&of_clients[..], &own].concat();
        Self::within(folder, "--tls-port", None, &arguments)
    }

    fn new(password: Option<&'static str>, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::within(folder, "--port", password, arguments)
    }

    fn within(
        folder: TempDir,
        listen: &str,
        password: Option<&'static str>,
        arguments: &[&str],
    ) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut all: Vec<String> = ["--bind", "127.0.0.1", listen, &port.to_string()]
            .iter()
            .chain(&["--save", ""])
            .chain(arguments)
            .map(|word| (*word).to_owned())
            .collect();
        if let Some(password) = password {
            std::fs::write(folder.path().join("password"), password).unwrap();
            all.extend(["--requirepass".to_owned(), password.to_owned()]);
        }
        Self {
            child: run(&all, folder.path()),
            port,
            password,
            arguments: all,
            folder,
        }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Without the password.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// A folder with the file `password` or `ca.crt`, as a Secret is mounted.
    pub fn credentials(&self) -> &Path {
        self.folder.path()
    }

    /// A connection, once it answers.
    pub async fn connection(&self) -> MultiplexedConnection {
        let login = self.password.map(|password| format!(":{password}@"));
        let url = format!("redis://{}{}", login.unwrap_or_default(), self.address());
        let client = Client::open(url).unwrap();
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        for _ in 0..100 {
            let connection = client.get_multiplexed_async_connection_with_config(&patient);
            if let Ok(connection) = connection.await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("redis-server at {} does not answer", self.address());
    }

    /// Kills it, in the middle of whatever it does.
    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// With the same port and files.
    pub fn start_again(&mut self) {
        self.child = run(&self.arguments, self.folder.path());
    }

    /// STOP and CONT: it is there, takes connections, and says nothing.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Certificates as the server and its clients read them.
fn certify(folder: &Path) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let signed = leaf.signed_by(&key, &issuer).unwrap();
    for (name, text) in [
        ("ca.crt", own.pem()),
        ("tls.crt", signed.pem()),
        ("tls.key", key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

fn run(arguments: &[String], folder: &Path) -> Child {
    Command::new("redis-server")
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

//! The one way from the machine into a cluster: a loopback port whose connections start anew inside a namespace.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::Error;
use super::enter::report;

/// A forwarded port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Port on 127.0.0.1 of the machine.
    pub port: u16,
    /// Network namespace the connections come from; looked up for each connection, so it may be made anew meanwhile.
    pub network: PathBuf,
    /// Where they go.
    pub to: SocketAddrV4,
}

/// Prints `ready` when the port is open, then forwards for ever.
pub(super) fn run(spec: &Door) -> Result<ExitCode, Error> {
    let failed = |source| Error::Door {
        port: spec.port,
        source,
    };
    nix::unistd::setsid().map_err(super::namespace("start a session"))?;
    // One thread: a socket made after `setns` on this very thread is a socket of that namespace. The listener was made
    // before the first, so it stays the machine's.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, spec.port))
            .await
            .map_err(failed)?;
        report("ready")?;
        let spec = Arc::new(spec.clone());
        loop {
            // Out of file descriptors or a connection that was gone at once: neither ends the door.
            if let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, Arc::clone(&spec)));
            } else {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    })
}

async fn forward(mut client: TcpStream, spec: Arc<Door>) {
    // A connection that cannot be made is closed, which is what the client would see without the door.
    let Ok(socket) = socket_in(&spec.network) else {
        return;
    };
    let Ok(mut server) = socket.connect(SocketAddr::V4(spec.to)).await else {
        return;
    };
    let _ = server.set_nodelay(true);
    let _ = client.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

fn socket_in(network: &Path) -> std::io::Result<TcpSocket> {
    setns(File::open(network)?, CloneFlags::CLONE_NEWNET)?;
    TcpSocket::new_v4()
}

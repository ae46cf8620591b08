//! What stands in for a cloud's load balancer: a port of a node's address whose connections go on to a Service.
//!
//! The process has the node's network and cgroups, so the way to the Service is the one a program on the node would take.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};

use super::Error;
use super::enter::{enter_network, report};
use crate::cgroup;

/// A port of a node that leads to a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancer {
    /// The node's network namespace.
    pub network: PathBuf,
    /// The node's cgroup folders.
    pub cgroups: Vec<PathBuf>,
    /// Where it listens in the node.
    pub listen: SocketAddrV4,
    /// Address and port of the Service.
    pub to: SocketAddrV4,
}

/// Prints `ready` when the port is open, then forwards for ever.
pub(super) fn run(spec: &Balancer) -> Result<ExitCode, Error> {
    let failed = |source| Error::Balancer {
        listen: spec.listen,
        source,
    };
    nix::unistd::setsid().map_err(super::namespace("start a session"))?;
    cgroup::join(&cgroup::leaves(&spec.cgroups)?)?;
    enter_network(&spec.network)?;
    // One thread, which has just entered the namespace: whatever it opens is the node's.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let to = SocketAddr::V4(spec.to);
    runtime.block_on(async {
        let listener = TcpListener::bind(spec.listen).await.map_err(failed)?;
        report("ready")?;
        loop {
            // Out of file descriptors or a connection that was gone at once: neither ends the balancer.
            if let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, to));
            } else {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    })
}

/// A connection that cannot be made is closed, which is what a balancer without a backend does.
async fn forward(mut client: TcpStream, to: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(to).await else {
        return;
    };
    let _ = server.set_nodelay(true);
    let _ = client.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

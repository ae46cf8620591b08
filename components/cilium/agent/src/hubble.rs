//! Hubble's API, put together.

use std::sync::Arc;

use cilium_api::names;
use cilium_hubble::export::Exporter;
use cilium_hubble::names::Node;
use cilium_hubble::observer;
use cilium_hubble::ring::{Capacity, CapacityError};
use cilium_hubble::server::Server;
use cilium_hubble::tls::server::{Clients, ServerFiles};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::agent::Agent;
use crate::bell::Bell;
use crate::config::Hubble;
use crate::directory::Directory;
use crate::task::hubble::{Listen, export, forget, names as follow_names, record, serve};

/// Starts recording and serving flows. `bell` rings when a name may have changed.
pub(crate) fn start(
    agent: &Arc<Agent>,
    config: &Hubble,
    bell: Bell,
    tasks: &mut JoinSet<()>,
) -> Result<(), CapacityError> {
    let directory = Directory::new(agent.clone());
    let settings = observer::Config {
        capacity: Capacity::at_least(config.capacity.into())?,
        node: Node {
            cluster: agent.own.cluster.clone(),
            name: agent.own.name.clone(),
            address: Some(agent.own.ip.into()),
        },
        node_labels: Vec::new(),
        version: cilium_hubble::CILIUM.to_owned(),
        metrics: config.metrics.clone(),
    };
    let (observer, writer) = observer::new(settings, directory.clone());
    // Started once; a second start would be another process.
    let _ = agent.flows.set(observer.clone());
    let (peers, nodes) = watch::channel(Vec::new());
    tasks.spawn(forget(directory.clone(), observer.clone()));
    if let Some(settings) = &config.export {
        let exporter = Exporter::new(observer.clone(), settings.clone());
        tasks.spawn(export(agent.clone(), exporter));
    }
    let server = Server::new(observer, nodes, names::HUBBLE_PORT);
    tasks.spawn(follow_names(agent.clone(), directory, peers, bell));
    tasks.spawn(record(agent.clone(), agent.events.subscribe(), writer));
    let socket = Listen::Socket(config.socket.clone());
    tasks.spawn(serve(agent.clone(), server.clone(), socket));
    if let Some(listen) = &config.listen {
        let files = ServerFiles {
            certificate: listen.certificate.clone(),
            key: listen.key.clone(),
            clients: Clients::Of {
                authorities: listen.client_authority.clone(),
                // The authority vouches for collectors, too; flows are not for them.
                names: vec![names::HUBBLE_CLIENT.to_owned()],
            },
        };
        let port = Listen::Port(listen.address, files);
        tasks.spawn(serve(agent.clone(), server, port));
    }
    Ok(())
}

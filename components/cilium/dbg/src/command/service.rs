//! `cilium-dbg service`.

use std::io::Write;

use cilium_cni::model::service::{BackendAddress, FrontendAddress, Scope, Service};
use clap::Subcommand;

use crate::Error;
use crate::agent::{Agent, segment};
use crate::output::Output;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every address and port of Services and host ports
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        output: Output,
    },
    /// One of them
    Get {
        /// Its number in the list
        id: u32,
        #[command(flatten)]
        output: Output,
    },
}

pub async fn run(command: &Command, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    match command {
        Command::List { output } => {
            let services: Vec<Service> = agent.get("/service", "its services").await?;
            if !output.write(&services, out)? {
                table(&services).write(out)?;
            }
        }
        Command::Get { id, output } => {
            let path = format!("/service/{}", segment(&id.to_string()));
            let service: Service = agent.get(&path, &format!("service {id}")).await?;
            if !output.write(&service, out)? {
                table(&[service]).write(out)?;
            }
        }
    }
    Ok(())
}

fn table(services: &[Service]) -> Table {
    let mut table = Table::new();
    table.line("ID\tFrontend\tService Type\tBackend\t");
    for service in services {
        let spec = &service.spec;
        let id = spec.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let mut backends = backends(service).into_iter();
        table.line(format!(
            "{id}\t{}\t{}\t{}\t",
            frontend(&spec.frontend_address),
            spec.flags.kind,
            backends.next().unwrap_or_default()
        ));
        for backend in backends {
            table.line(format!("\t\t\t{backend}\t"));
        }
    }
    table
}

/// What the kernel sends connections to; that the agent wants it is not enough.
fn backends(service: &Service) -> Vec<String> {
    let Some(realized) = &service.status.realized else {
        return vec!["not in the kernel yet".to_owned()];
    };
    let text = |(slot, backend): (usize, &BackendAddress)| {
        let BackendAddress {
            ip,
            port,
            protocol,
            state,
            ..
        } = backend;
        format!("{slot} => {ip}:{port}/{protocol} ({state})")
    };
    (1..).zip(&realized.backend_addresses).map(text).collect()
}

/// `10.96.0.1:443/TCP`, with `/i` where the outside has an entry of its own.
pub(super) fn frontend(address: &FrontendAddress) -> String {
    let inside = match address.scope {
        Scope::External => "",
        Scope::Internal => "/i",
    };
    let FrontendAddress {
        ip, port, protocol, ..
    } = address;
    format!("{ip}:{port}/{protocol}{inside}")
}

//! The command line.

mod fault;
mod print;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use self::fault::FaultAction;
use crate::cluster::{Cluster, Images, Options, Part, Spot};
use crate::inside::{self, Impairment};
use crate::state::Cni;

/// A real Kubernetes on this machine: several nodes, several clusters, and every way to break them.
#[derive(Debug, Parser)]
#[command(name = "gloonet-lab", version)]
struct Arguments {
    /// The cluster; several may run side by side.
    #[arg(
        long,
        global = true,
        default_value = "default",
        env = "GLOONET_LAB_CLUSTER"
    )]
    cluster: String,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start the cluster, or whatever of it does not run.
    Up {
        /// Workers besides the control-plane node. Nodes that exist already are kept.
        #[arg(long, default_value_t = 2)]
        workers: u32,
        /// CNI put on the nodes of a new cluster.
        #[arg(long, value_enum, default_value_t)]
        cni: Cni,
        /// Images imported into the nodes.
        #[arg(long, value_enum, default_value_t)]
        images: Images,
    },
    /// Remove the cluster: processes, namespaces, mounts, cgroups, files.
    Down,
    /// Remove the unpacked images that are kept for the nodes of later clusters.
    Forget,
    /// Show what runs.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Import image archives into every node; without a file, those of $GLOONET_HOME/images that are missing.
    Load { files: Vec<PathBuf> },
    /// Print the path of the cluster's kubeconfig.
    Kubeconfig,
    /// Run kubectl against the cluster.
    #[command(trailing_var_arg = true, disable_help_flag = true)]
    Kubectl {
        #[arg(allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Add, remove, restart or freeze nodes.
    #[command(subcommand)]
    Node(NodeAction),
    /// Stop, start or double the API server.
    #[command(subcommand)]
    Api(ApiAction),
    /// Pull, spoil or mend the cable of a node, or of `outside`.
    #[command(subcommand)]
    Link(LinkAction),
    /// Open, list and close loopback ports that lead into the lab.
    #[command(subcommand)]
    Door(DoorAction),
    /// Let the nodes of this cluster and of another one reach each other.
    Join { other: String },
    /// Open a port of a node's address that leads to a Service, as a cloud's load balancer would.
    Balance {
        node: String,
        port: u16,
        /// Where to, as ADDRESS:PORT.
        to: std::net::SocketAddrV4,
    },
    /// Run a program in a node, with its network, files, host name, processes and cgroups; or, with the machine's files,
    /// in the network of `outside`, `switch` or `pod/ADDRESS`.
    #[command(trailing_var_arg = true)]
    Exec {
        place: String,
        #[arg(required = true, allow_hyphen_values = true)]
        argv: Vec<String>,
    },
    /// Send one raw frame out of an interface at a place as `exec` takes it.
    Inject {
        place: String,
        interface: String,
        /// The frame in hexadecimal, link header first.
        frame: String,
    },
    /// Print the log of a process, as `NODE/PROGRAM`; without a name, list the logs.
    Logs { process: Option<String> },
    #[command(hide = true)]
    Internal { spec: String },
}

#[derive(Debug, Subcommand)]
enum NodeAction {
    /// Add a worker.
    Add,
    /// Remove a worker from the machine and from the cluster.
    Remove {
        node: String,
        /// Leave the Node object in the API, as after a machine's sudden end.
        #[arg(long)]
        keep_object: bool,
    },
    /// Restart the kubelet, containerd or, as after a power cut, the whole node.
    Restart {
        node: String,
        #[arg(value_enum, default_value = "whole")]
        part: Part,
    },
    /// Stop the kubelet, containerd or the whole node and leave it stopped.
    Stop {
        node: String,
        #[arg(value_enum, default_value = "whole")]
        part: Part,
    },
    /// Freeze every process of a node.
    Pause { node: String },
    /// Let a frozen node go on.
    Resume { node: String },
}

#[derive(Debug, Subcommand)]
enum DoorAction {
    /// Open a port of 127.0.0.1 that leads to an address in the lab, and print it.
    Open {
        /// Where to, as ADDRESS:PORT.
        to: std::net::SocketAddrV4,
        /// The port; any free one if not given.
        #[arg(long)]
        port: Option<u16>,
        /// Where connections come from: a node, `outside`, `switch` or `pod/ADDRESS`; the control-plane node if not given.
        #[arg(long)]
        from: Option<String>,
    },
    /// Print the open ports.
    List,
    /// Close a port.
    Close { port: u16 },
}

#[derive(Debug, Subcommand)]
enum LinkAction {
    /// Pull the cable.
    Cut { node: String },
    /// Let every frame arrive later.
    Delay { node: String, milliseconds: u32 },
    /// Lose some frames in a hundred.
    Loss {
        node: String,
        #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
        percent: u8,
        /// Which frames: the same seed loses the same ones.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Make the cable as good as new.
    Heal { node: String },
}

#[derive(Debug, Subcommand)]
enum ApiAction {
    /// Stop the API server.
    Stop,
    /// Start the API server.
    Start,
    /// Put the fault proxy before the API server, give it orders, take it away.
    #[command(subcommand)]
    Faults(FaultAction),
    /// Start a second API server on the same etcd, or stop it.
    Second {
        /// Stop it.
        #[arg(long)]
        off: bool,
    },
}

/// Does what the command line says.
pub fn run() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Action::Internal { spec } = &arguments.command {
        return Ok(inside::run(spec)?);
    }
    let cluster = Cluster::open(&arguments.cluster)?;
    act(&cluster, arguments.command)
}

fn act(cluster: &Cluster, action: Action) -> Result<ExitCode> {
    match action {
        Action::Up {
            workers,
            cni,
            images,
        } => print::up(
            cluster,
            &Options {
                workers,
                cni,
                images,
            },
        )?,
        Action::Forget => Cluster::forget_unpacked()?,
        Action::Down => cluster.down(&print::step)?,
        Action::Status { json } => print::status(&cluster.status()?, json)?,
        Action::Load { files } if files.is_empty() => drop(cluster.load_all(&print::step)?),
        Action::Load { files } => cluster.load(&files, &print::step)?,
        Action::Kubeconfig => println!("{}", cluster.kubeconfig().display()),
        Action::Kubectl { arguments } => return print::replace(cluster.kubectl().args(arguments)),
        Action::Node(action) => node(cluster, action)?,
        Action::Api(ApiAction::Stop) => cluster.stop_api()?,
        Action::Api(ApiAction::Start) => cluster.start_api()?,
        Action::Api(ApiAction::Faults(action)) => fault::act(&cluster.faults(), action)?,
        Action::Api(ApiAction::Second { off }) => cluster.second_api(!off)?,
        Action::Link(action) => link(cluster, action)?,
        Action::Door(action) => door(cluster, action)?,
        Action::Join { other } => cluster.join(&Cluster::open(&other)?)?,
        Action::Balance { node, port, to } => {
            println!("{}", cluster.open_balancer(&node, port, to)?);
        }
        Action::Exec { place, argv } => {
            return print::replace(&mut cluster.command_at(&Spot::parse(&place), argv)?);
        }
        Action::Inject {
            place,
            interface,
            frame,
        } => {
            cluster.inject(&Spot::parse(&place), &interface, &print::parse_hex(&frame)?)?;
        }

        Action::Logs { process } => print::logs(cluster, process.as_deref())?,
        Action::Internal { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn node(cluster: &Cluster, action: NodeAction) -> Result<()> {
    match action {
        NodeAction::Add => println!("{}", cluster.add_node(&print::step)?),
        NodeAction::Remove { node, keep_object } => cluster.remove_node(&node, !keep_object)?,
        NodeAction::Restart { node, part } => cluster.node(&node)?.restart(part)?,
        NodeAction::Stop { node, part } => cluster.node(&node)?.stop(part)?,
        NodeAction::Pause { node } => cluster.node(&node)?.pause(true)?,
        NodeAction::Resume { node } => cluster.node(&node)?.pause(false)?,
    }
    Ok(())
}

fn link(cluster: &Cluster, action: LinkAction) -> Result<()> {
    match action {
        LinkAction::Cut { node } => cluster.link(&node)?.cut()?,
        LinkAction::Delay { node, milliseconds } => {
            let slow = Impairment {
                delay_ms: milliseconds,
                ..Impairment::default()
            };
            cluster.link(&node)?.impair(slow)?;
        }
        LinkAction::Loss {
            node,
            percent,
            seed,
        } => {
            let lossy = Impairment {
                loss_percent: percent,
                seed,
                ..Impairment::default()
            };
            cluster.link(&node)?.impair(lossy)?;
        }
        LinkAction::Heal { node } => cluster.link(&node)?.heal()?,
    }
    Ok(())
}

fn door(cluster: &Cluster, action: DoorAction) -> Result<()> {
    match action {
        DoorAction::Open { to, port, from } => {
            let from = from.map_or_else(|| cluster.control_plane_name(), Ok)?;
            println!("{}", cluster.open_door(&Spot::parse(&from), to, port)?);
        }
        DoorAction::List => cluster.doors()?.iter().for_each(|port| println!("{port}")),
        DoorAction::Close { port } => cluster.close_door(port)?,
    }
    Ok(())
}

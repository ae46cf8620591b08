//! What of ours goes on without an agent, and how a node gets rid of it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{devices, nodes, pins};
use crate::Error;
use crate::link::{self, Netlink, Route};

/// Something that outlives the agent on purpose: pods keep their network by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remnant {
    /// With native routing, the node's way to pods of another node. It is on a device that is not ours.
    Route(Route),
    /// Links and maps below this folder. A link ends with its last name, and so does what it attached.
    Pins(PathBuf),
    /// The program on the links of pods, by the links' interface indexes. They stay, and carry no packet any more.
    PodLinks(Vec<u32>),
    /// A device of ours; its addresses and routes go with it.
    Device(&'static str),
}

/// What is left on this node and in the caller's network namespace, in the order it can be removed.
pub fn remnants(bpffs: &Path) -> Result<Vec<Remnant>, Error> {
    let mut found: Vec<Remnant> = nodes::direct_routes(bpffs)?
        .into_iter()
        .map(Remnant::Route)
        .collect();
    let pins = pins::left(bpffs)?;
    let pinned = pins.is_some();
    found.extend(pins.map(Remnant::Pins));
    let (bound, devices) = Netlink::new()
        .and_then(|mut netlink| devices::left(&mut netlink, pinned))
        .map_err(failed("look for what is left of the node's devices"))?;
    found.extend((!bound.is_empty()).then_some(Remnant::PodLinks(bound)));
    found.extend(devices.into_iter().map(Remnant::Device));
    Ok(found)
}

impl Remnant {
    /// Takes it off the node; pods lose their network. What is gone already is removed.
    pub fn remove(&self) -> Result<(), Error> {
        let by_netlink = |work: &dyn Fn(&mut Netlink) -> Result<(), link::Error>| {
            Netlink::new()
                .and_then(|mut netlink| work(&mut netlink))
                .map_err(failed(&format!("remove {self}")))
        };
        match self {
            Self::Pins(folder) => pins::remove(folder),
            Self::Route(route) => by_netlink(&|netlink| netlink.delete_route(route).map(drop)),
            Self::PodLinks(bound) => by_netlink(&|netlink| {
                let mut bound = bound.iter();
                bound.try_for_each(|ifindex| netlink.unbind_from_block(*ifindex))
            }),
            Self::Device(name) => by_netlink(&|netlink| netlink.delete(name).map(drop)),
        }
    }
}

impl fmt::Display for Remnant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(route) => write!(out, "the route to pods in {}", route.destination),
            Self::Pins(folder) => write!(out, "programs and maps in {}", folder.display()),
            Self::PodLinks(bound) => {
                write!(out, "the programs on links of pods ({})", bound.len())
            }
            Self::Device(name) => write!(out, "device {name}"),
        }
    }
}

fn failed(operation: &str) -> impl FnOnce(link::Error) -> Error + use<> {
    let operation = operation.to_owned();
    move |source| Error::Network { operation, source }
}

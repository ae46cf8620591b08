use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use aya::programs::{CgroupSockAddr, Program, ProgramFd, SchedClassifier};
use aya::{Ebpf, EbpfError, EbpfLoader};

use super::devices::Devices;
use super::maps::{self, Maps};
use super::pins::Pins;
use crate::{Config, Error};

/// The programs as built by `cargo xtask ebpf` from `ebpf/programs`.
pub(crate) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/object/datapath.bpf.o"
));

/// The kernel's handles of the loaded programs.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) from_container: ProgramFd,
    pub(super) from_overlay: ProgramFd,
    pub(super) from_host: ProgramFd,
    pub(super) from_netdev: ProgramFd,
    pub(super) to_netdev: ProgramFd,
    pub(super) connect4: ProgramFd,
    pub(super) connect6: ProgramFd,
    pub(super) sendmsg4: ProgramFd,
    pub(super) recvmsg4: ProgramFd,
    pub(super) recvmsg6: ProgramFd,
    pub(super) getpeername4: ProgramFd,
    pub(super) getpeername6: ProgramFd,
}

/// Opens or makes the maps, and has the kernel verify the programs with the node's constants in them.
pub(super) fn load(
    config: &Config,
    pins: &Pins,
    devices: &Devices,
) -> Result<(Maps, Programs), Error> {
    let parsed = aya_obj::Object::parse(OBJECT)
        .map_err(|source| Error::Load(EbpfError::ParseError(source)))?;
    let mut paths = Vec::new();
    for &name in maps::NAMES {
        let wanted = parsed
            .maps
            .get(name)
            .ok_or(Error::Missing { kind: "map", name })?;
        pins.check(name, wanted)?;
        paths.push((name, pins.map(name)));
    }
    let address = |ip: Ipv4Addr| u32::from_ne_bytes(ip.octets());
    let node_ip = address(config.node_ip);
    let router_ip = address(config.router_ip);
    let network = address(config.pod_cidr.network());
    let mask = address(config.pod_cidr.netmask());
    let port = config.tunnel_port.to_be();
    let tunnel_ifindex = devices.tunnel.as_ref().map_or(0, |link| link.index);
    let direct_ifindex = devices.direct.as_ref().map_or(0, |link| link.index);
    let namespace = super::cookie::own()?;
    let mut loader = EbpfLoader::new();
    loader
        .override_global("NODE_IP", &node_ip, true)
        .override_global("ROUTER_IP", &router_ip, true)
        .override_global("POD_NETWORK", &network, true)
        .override_global("POD_MASK", &mask, true)
        .override_global("TUNNEL_PORT", &port, true)
        .override_global("TUNNEL_IFINDEX", &tunnel_ifindex, true)
        .override_global("DIRECT_IFINDEX", &direct_ifindex, true)
        .override_global("NAMESPACE", &namespace, true);
    for (name, path) in &paths {
        loader.map_pin_path(name, path.as_path());
    }
    let mut object = loader.load(OBJECT).map_err(Error::Load)?;
    let programs = Programs {
        from_container: classifier(&mut object, "from_container")?,
        from_overlay: classifier(&mut object, "from_overlay")?,
        from_host: classifier(&mut object, "from_host")?,
        from_netdev: classifier(&mut object, "from_netdev")?,
        to_netdev: classifier(&mut object, "to_netdev")?,
        connect4: socket(&mut object, "connect4")?,
        connect6: socket(&mut object, "connect6")?,
        sendmsg4: socket(&mut object, "sendmsg4")?,
        recvmsg4: socket(&mut object, "recvmsg4")?,
        recvmsg6: socket(&mut object, "recvmsg6")?,
        getpeername4: socket(&mut object, "getpeername4")?,
        getpeername6: socket(&mut object, "getpeername6")?,
    };
    Ok((Maps::take(&mut object, pins)?, programs))
}

fn classifier(object: &mut Ebpf, name: &'static str) -> Result<ProgramFd, Error> {
    let refused = |source| Error::Program { name, source };
    let program: &mut SchedClassifier = program(object, name)?.try_into().map_err(refused)?;
    program.load().map_err(refused)?;
    copy(program.fd().map_err(refused)?, name)
}

fn socket(object: &mut Ebpf, name: &'static str) -> Result<ProgramFd, Error> {
    let refused = |source| Error::Program { name, source };
    let program: &mut CgroupSockAddr = program(object, name)?.try_into().map_err(refused)?;
    program.load().map_err(refused)?;
    copy(program.fd().map_err(refused)?, name)
}

fn program<'a>(object: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Program, Error> {
    object.program_mut(name).ok_or(Error::Missing {
        kind: "program",
        name,
    })
}

fn copy(fd: &ProgramFd, name: &'static str) -> Result<ProgramFd, Error> {
    fd.try_clone().map_err(|source| Error::Link {
        operation: "keep the handle of",
        link: format!("program {name}"),
        source,
    })
}

/// The descriptor bpf(2) knows a program by.
pub(super) fn fd(program: &ProgramFd) -> BorrowedFd<'_> {
    program.as_fd()
}

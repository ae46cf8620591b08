use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use aya::programs::ProgramFd;
use aya_obj::generated::bpf_attach_type::{
    self, BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET4_GETPEERNAME, BPF_CGROUP_INET6_CONNECT,
    BPF_CGROUP_INET6_GETPEERNAME, BPF_CGROUP_UDP4_RECVMSG, BPF_CGROUP_UDP4_SENDMSG,
    BPF_CGROUP_UDP6_RECVMSG, BPF_TCX_EGRESS, BPF_TCX_INGRESS,
};

use super::bpf;
use super::devices::{self, Devices};
use super::object::{Programs, fd};
use super::pins::Pins;
use crate::link::Netlink;
use crate::{Config, Error};

/// Puts programs on devices and the cgroup, under names in bpffs that outlive the process.
#[derive(Debug)]
pub(super) struct Attachments {
    pins: Pins,
    programs: Programs,
}

impl Attachments {
    pub(super) fn new(pins: Pins, programs: Programs) -> Self {
        Self { pins, programs }
    }

    /// From here on packets go through these programs, and those of maps of other versions are nobody's.
    pub(super) fn all(
        &self,
        netlink: &mut Netlink,
        config: &Config,
        devices: &Devices,
    ) -> Result<(), Error> {
        self.node(config, devices)?;
        self.pods(netlink, devices)?;
        if devices.tunnel.is_none() {
            // What an earlier start made; only now no program sends there any more.
            devices::remove_tunnel(netlink)?;
        }
        self.pins.go_live()
    }

    /// The node's own devices and its cgroup. Links of an earlier start to anything else are taken off.
    fn node(&self, config: &Config, devices: &Devices) -> Result<(), Error> {
        let programs = &self.programs;
        let mut on_devices = vec![(&devices.host, &programs.from_host, BPF_TCX_EGRESS)];
        if let Some(tunnel) = &devices.tunnel {
            on_devices.push((tunnel, &programs.from_overlay, BPF_TCX_INGRESS));
        }
        for outside in &devices.outside {
            on_devices.push((outside, &programs.from_netdev, BPF_TCX_INGRESS));
            on_devices.push((outside, &programs.to_netdev, BPF_TCX_EGRESS));
        }
        let mut links = self.cgroup(config)?;
        for (device, program, attach_type) in on_devices {
            let hook = if attach_type == BPF_TCX_INGRESS {
                "ingress"
            } else {
                "egress"
            };
            let link = format!("{}-{hook}", device.index);
            self.ensure(&link, program, device.index, attach_type)?;
            links.push(link);
        }
        self.pins.keep_links(&links)
    }

    /// The program that every bound pod's link runs.
    ///
    /// Pods' links do not get a tcx link each: the kernel waits for all processors to notice every tcx attachment and detachment
    /// (`synchronize_rcu`, 5 to 14 ms measured on two processors) with the lock of all network configuration held. Binding a link
    /// to a tc block costs a tenth of that, and one replacement changes the program of all pods at once. The block and
    /// its program live in the kernel while a link is bound; `cilium_net` always is.
    fn pods(&self, netlink: &mut Netlink, devices: &Devices) -> Result<(), Error> {
        netlink
            .bind_to_block(devices.host_peer.index)
            .and_then(|()| netlink.set_block_program(fd(&self.programs.from_container)))
            .map_err(|source| Error::Network {
                operation: "put the program on the pods' links".to_owned(),
                source,
            })
    }

    fn cgroup(&self, config: &Config) -> Result<Vec<String>, Error> {
        let root = File::open(&config.cgroup_root).map_err(|source| Error::File {
            operation: "open",
            path: config.cgroup_root.clone(),
            source,
        })?;
        let programs = &self.programs;
        let mut links = Vec::new();
        for (name, program, attach_type) in [
            (
                "cgroup-connect4",
                &programs.connect4,
                BPF_CGROUP_INET4_CONNECT,
            ),
            (
                "cgroup-connect6",
                &programs.connect6,
                BPF_CGROUP_INET6_CONNECT,
            ),
            (
                "cgroup-sendmsg4",
                &programs.sendmsg4,
                BPF_CGROUP_UDP4_SENDMSG,
            ),
            (
                "cgroup-recvmsg4",
                &programs.recvmsg4,
                BPF_CGROUP_UDP4_RECVMSG,
            ),
            (
                "cgroup-recvmsg6",
                &programs.recvmsg6,
                BPF_CGROUP_UDP6_RECVMSG,
            ),
            (
                "cgroup-getpeername4",
                &programs.getpeername4,
                BPF_CGROUP_INET4_GETPEERNAME,
            ),
            (
                "cgroup-getpeername6",
                &programs.getpeername6,
                BPF_CGROUP_INET6_GETPEERNAME,
            ),
        ] {
            self.ensure(name, program, root.as_raw_fd().cast_unsigned(), attach_type)?;
            links.push(name.to_owned());
        }
        Ok(links)
    }

    /// Swaps the program of the pinned link, or makes and pins one: also where the pinned one's device is gone.
    fn ensure(
        &self,
        name: &str,
        program: &ProgramFd,
        target: u32,
        attach_type: bpf_attach_type,
    ) -> Result<(), Error> {
        let path = self.pins.link(name);
        let failed = |operation| {
            move |source| Error::Link {
                operation,
                link: name.to_owned(),
                source,
            }
        };
        if let Ok(link) = bpf::open(&path) {
            match bpf::link_update(link.as_fd(), fd(program)) {
                Ok(()) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ENOLINK) => {}
                Err(error) => return Err(failed("replace the program of")(error)),
            }
        }
        unpin(&path).map_err(failed("remove the stale pin of"))?;
        let link = bpf::link_create(fd(program), target, attach_type).map_err(failed("attach"))?;
        bpf::pin(link.as_fd(), &path).map_err(failed("pin"))
    }
}

fn unpin(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

//! Who a packet is from or for.

use aya_ebpf::btf_maps::lpm_trie::Key;
use datapath_abi::address::Address;
use datapath_abi::endpoint::{Endpoint, Source};
use datapath_abi::ip::{IDENTITY_API_SERVER, IDENTITY_HOST, IDENTITY_REMOTE_NODE, IDENTITY_WORLD};

use super::scratch::{look, put};
use crate::config::{NODE_IP, ROUTER_IP};
use crate::maps::{cilium_ipcache, cilium_lxc};

/// One end of a connection.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Party {
    /// Nanoseconds of the coarse monotonic clock since which it has the address; only of a pod of this node.
    pub(crate) since: u64,
    pub(crate) address: u32,
    pub(crate) identity: u32,
    /// Number of the policy that judges it; only of a pod of this node.
    pub(crate) policy: u32,
    /// Number of its endpoint; only of a pod of this node.
    pub(crate) endpoint: u16,
    /// 1: a pod of this node.
    pub(crate) local: u16,
}

/// What a hook knows of a packet's sender.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    kind: u32,
    identity: u32,
    policy: u32,
    endpoint: u32,
}

const POD: u32 = 0;
const HOST: u32 = 1;
const FOREIGNER: u32 = 2;

impl Sender {
    /// This host itself.
    pub(crate) const HOST: Self = Self::kind(HOST);
    /// Whoever holds the source address, and that is not this host.
    pub(crate) const FOREIGNER: Self = Self::kind(FOREIGNER);

    const fn kind(kind: u32) -> Self {
        Self {
            kind,
            identity: 0,
            policy: 0,
            endpoint: 0,
        }
    }

    /// The pod behind the device.
    #[inline(always)]
    pub(crate) fn pod(source: &Source) -> Self {
        Self {
            kind: POD,
            identity: source.identity,
            policy: source.policy,
            endpoint: u32::from(source.id),
        }
    }

    /// The endpoint of the pod behind the device.
    #[inline(always)]
    pub(crate) fn endpoint(&self) -> Option<u16> {
        (self.kind == POD).then_some(self.endpoint as u16)
    }

    /// Writes down who that is.
    #[inline(always)]
    pub(crate) fn resolve(&self, address: u32, party: &mut Party) {
        match self.kind {
            POD => {
                resolve(address, party);
                put(&mut party.identity, self.identity);
                put(&mut party.policy, self.policy);
                put(&mut party.endpoint, self.endpoint as u16);
                put(&mut party.local, 1);
            }
            HOST => party.set(address, IDENTITY_HOST, 0),
            _ => {
                resolve(address, party);
                party.began_as(IDENTITY_WORLD);
            }
        }
    }
}

impl Party {
    #[inline(always)]
    fn set(&mut self, address: u32, identity: u32, policy: u32) {
        self.address = address;
        put(&mut self.identity, identity);
        put(&mut self.policy, policy);
        put(&mut self.since, 0);
        put(&mut self.endpoint, 0);
        put(&mut self.local, 0);
    }

    /// Whether it is this host cannot be told from an address: the host has more of them than we know, and others may use one. So
    /// whoever began a connection as the host stays the host, and nobody else becomes it.
    #[inline(always)]
    pub(crate) fn began_as(&mut self, identity: u32) {
        if identity == IDENTITY_HOST {
            if look(&self.local) == 0 {
                put(&mut self.identity, IDENTITY_HOST);
            }
        } else if look(&self.identity) == IDENTITY_HOST {
            put(&mut self.identity, IDENTITY_WORLD);
        }
    }

    /// Whether it only speaks for itself: hosts and the world hold routers, which report on packets of others.
    #[inline(always)]
    pub(crate) fn is_pod(&self) -> bool {
        !matches!(
            look(&self.identity),
            IDENTITY_HOST | IDENTITY_WORLD | IDENTITY_REMOTE_NODE | IDENTITY_API_SERVER
        )
    }
}

/// Writes down the holder of an address.
#[inline(always)]
pub(crate) fn resolve(address: u32, party: &mut Party) {
    resolve_party(address, party);
}

/// Global like `judge_packet`. The answer means nothing; the kernel demands one.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn resolve_party(address: u32, party: *mut Party) -> u32 {
    // SAFETY: the caller's memory, which nobody else holds meanwhile.
    let Some(party) = (unsafe { party.as_mut() }) else {
        return 0;
    };
    if let Some(endpoint) = cilium_lxc.get_ptr(&Address::v4(address)) {
        // SAFETY: a map value of plain numbers.
        let Endpoint {
            identity,
            policy,
            id,
            since,
            ..
        } = unsafe { *endpoint };
        party.set(address, identity, policy);
        put(&mut party.since, since);
        party.endpoint = id;
        put(&mut party.local, 1);
        return 0;
    }
    let identity = if address == NODE_IP.load() || address == ROUTER_IP.load() {
        IDENTITY_HOST
    } else {
        cilium_ipcache
            .get(&Key::new(128, Address::v4(address)))
            .map_or(IDENTITY_WORLD, |entry| entry.identity)
    };
    party.set(address, identity, 0);
    0
}

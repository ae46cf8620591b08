//! Choosing a backend.

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::{bpf_get_prandom_u32, bpf_ktime_get_ns};
use datapath_abi::maglev::{self, SLOTS_PER_CHUNK};
use datapath_abi::service::{Affinity, Backend, Client, Frontend, Member, Service, Slot};

use super::packet::Packet;
use super::scratch::look;
use crate::maps::{
    cilium_lb4_affinity, cilium_lb4_backends, cilium_lb4_maglev, cilium_lb4_members,
    cilium_lb4_services,
};

/// What a service answers.
pub(crate) enum Choice {
    /// There is no such service.
    NoService,
    /// It has no backend.
    NoBackend,
    /// Where the connection goes.
    Backend(Backend),
}

/// A backend for a new connection of a client. `packet`: how it begins, if it comes from outside.
#[inline(always)]
pub(crate) fn select(frontend: &Frontend, client: [u64; 2], packet: Option<&Packet>) -> Choice {
    let Some(service) = cilium_lb4_services.get_ptr(frontend) else {
        return Choice::NoService;
    };
    // SAFETY: a map value of plain numbers.
    let mut service = unsafe { *service };
    if service.affinity_seconds != 0 {
        if let Some(backend) = remembered(frontend, client, &service) {
            return Choice::Backend(backend);
        }
    }
    let mut found = choose(&service, packet);
    if found.is_none() {
        // The agent may have swapped the generation between the two lookups; the new one is complete.
        let Some(again) = cilium_lb4_services.get_ptr(frontend) else {
            return Choice::NoService;
        };
        // SAFETY: as above.
        service = unsafe { *again };
        found = choose(&service, packet);
    }
    let Some(backend) = found else {
        return Choice::NoBackend;
    };
    if service.affinity_seconds != 0 {
        remember(frontend, client, backend);
    }
    Choice::Backend(backend)
}

/// Whether a backend is one of a generation.
#[inline(always)]
pub(crate) fn is_member(generation: u32, backend: Backend) -> bool {
    cilium_lb4_members
        .get_ptr(&Member {
            generation,
            backend,
        })
        .is_some()
}

#[inline(always)]
fn choose(service: &Service, packet: Option<&Packet>) -> Option<Backend> {
    if service.count == 0 {
        return None;
    }
    let index = match packet {
        Some(packet) if service.slots != 0 => consistent(service, packet)?,
        // SAFETY: a plain helper call.
        _ => (unsafe { bpf_get_prandom_u32() }) % service.count,
    };
    // SAFETY: a map value of plain numbers.
    cilium_lb4_backends
        .get_ptr(&Slot {
            generation: service.generation,
            index,
        })
        .map(|backend| unsafe { *backend })
}

/// The backend whose slot a connection has; the same one on every node.
#[inline(always)]
fn consistent(service: &Service, packet: &Packet) -> Option<u32> {
    // A client that stays with its backend for a time stays with it when it asks another node, too, from whatever port.
    let from = if service.affinity_seconds == 0 {
        packet.source_port
    } else {
        0
    };
    let ports = [from, packet.destination_port];
    let hash = maglev::of_connection(service.key, packet.source, ports, packet.protocol);
    let slot = (hash % u64::from(service.slots)) as u32;
    let chunk = cilium_lb4_maglev.get_ptr(&Slot {
        generation: service.generation,
        index: slot / SLOTS_PER_CHUNK as u32,
    })?;
    // The verifier must see the bound that the compiler knows, and would leave out.
    let within = look(&(slot % SLOTS_PER_CHUNK as u32)) as usize;
    if within >= SLOTS_PER_CHUNK {
        return None;
    }
    // SAFETY: within a map value of plain numbers.
    Some(u32::from(unsafe {
        *(&raw const (*chunk).backends).cast::<u16>().add(within)
    }))
}

#[inline(always)]
fn remembered(frontend: &Frontend, client: [u64; 2], service: &Service) -> Option<Backend> {
    let affinity = cilium_lb4_affinity.get_ptr_mut(&Client {
        client,
        frontend: *frontend,
        pad: 0,
    })?;
    // SAFETY: a map value; two writers of the time differ by nothing that matters.
    unsafe {
        let now = bpf_ktime_get_ns();
        let kept = u64::from(service.affinity_seconds) * 1_000_000_000;
        // Another processor may have written it after this one looked at the clock.
        let unused = now.saturating_sub((*affinity).last_used);
        if unused > kept || !is_member(service.generation, (*affinity).backend) {
            return None;
        }
        (*affinity).last_used = now;
        Some((*affinity).backend)
    }
}

#[inline(always)]
fn remember(frontend: &Frontend, client: [u64; 2], backend: Backend) {
    // SAFETY: a plain helper call.
    let last_used = unsafe { bpf_ktime_get_ns() };
    // A full table evicts its oldest entry; a failure costs the client its affinity, not its connection.
    let _ = cilium_lb4_affinity.insert(
        &Client {
            client,
            frontend: *frontend,
            pad: 0,
        },
        &Affinity {
            last_used,
            backend,
            pad: 0,
        },
        u64::from(BPF_ANY),
    );
}

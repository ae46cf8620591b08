use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;

use super::addresses::Addresses;
use super::maps::{Maps, address, ip};
use super::{State, leftovers, maglev, source_ranges};
use crate::{Backend, Error, Frontend, Maglev, Protocol, Scope, Service, WhenEmpty};
use datapath_abi::service as abi;

/// Numbers for the generations of services, and the addresses they are at.
#[derive(Debug)]
pub(super) struct Generations {
    last: u32,
    addresses: Addresses,
}

impl Generations {
    /// Goes on where an earlier process stopped. What it wrote for a service and did not get to put into force is removed: its
    /// number will be given out again.
    pub(super) fn take_over(maps: &mut Maps) -> Result<Self, Error> {
        let mut generations = Self {
            last: 0,
            addresses: Addresses::default(),
        };
        let mut known = BTreeSet::new();
        let mut claimed = BTreeMap::new();
        for (key, value) in maps.cilium_lb4_services.all()? {
            generations.last = generations.last.max(value.generation);
            known.insert(value.generation);
            if let Some(frontend) = frontend(&key) {
                generations.addresses.count(frontend, is_exclusive(value));
            } else if key.protocol == 0 {
                claimed.insert((ip(key.address), scope(key.scope)), value.flags);
            }
        }
        leftovers::remove(maps, &known)?;
        generations.addresses.settle(maps, &claimed)?;
        Ok(generations)
    }

    fn next(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.last
    }
}

/// Writes the new backends under a new generation, swaps the service, then removes the old ones. After an error the old state stays.
pub(super) fn upsert(state: &mut State, service: &Service) -> Result<(), Error> {
    let key = key(service.frontend);
    let old = state.maps.cilium_lb4_services.get(&key)?;
    if let Some(old) = old {
        let ranges = if old.flags & abi::RESTRICTED == 0 {
            Vec::new()
        } else {
            source_ranges::of(&state.maps, old.generation)?
        };
        if read(&state.maps, service.frontend, old, ranges)? == *service {
            return Ok(());
        }
    }
    let value = value(state.generations.next(), service);
    let addresses = &mut state.generations.addresses;
    addresses.claim(&mut state.maps, service.frontend, service.exclusive)?;
    let written = write_backends(&mut state.maps, value, service)
        .and_then(|()| state.maps.cilium_lb4_services.set(&key, &value));
    match (written, old) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(old)) => {
            addresses.release(&mut state.maps, service.frontend, is_exclusive(old))?;
            remove_backends(&mut state.maps, old)
        }
        (Err(error), _) => {
            // Half a generation would keep its room, and nobody would ever look it up.
            let emptied = remove_backends(&mut state.maps, value);
            let freed = addresses.release(&mut state.maps, service.frontend, service.exclusive);
            // Should that fail, too, what matters is still why it was refused.
            drop(emptied.and(freed));
            Err(error)
        }
    }
}

fn value(generation: u32, service: &Service) -> abi::Service {
    let (slots, key) = service
        .maglev
        .map_or((0, [0; 2]), |maglev| (maglev.slots, maglev.key));
    abi::Service {
        generation,
        count: u32::try_from(service.backends.len()).unwrap_or(u32::MAX),
        affinity_seconds: service.affinity_seconds.unwrap_or(0),
        flags: flags(service),
        slots,
        pad: 0,
        key,
    }
}

fn write_backends(maps: &mut Maps, value: abi::Service, service: &Service) -> Result<(), Error> {
    let generation = value.generation;
    for (index, backend) in (0..).zip(&service.backends) {
        let backend = abi::Backend {
            address: address(backend.ip),
            port: backend.port.to_be(),
            pad: [0; 2],
        };
        let slot = abi::Slot { generation, index };
        maps.cilium_lb4_backends.set(&slot, &backend)?;
        let member = abi::Member {
            generation,
            backend,
        };
        maps.cilium_lb4_members.set(&member, &1)?;
    }
    if let Some(maglev) = service.maglev {
        maglev::set(maps, generation, &maglev.table(&service.backends))?;
    }
    source_ranges::set(maps, generation, &service.source_ranges)
}

fn flags(service: &Service) -> u32 {
    let flag = |set, flag| if set { flag } else { 0 };
    flag(service.when_empty == WhenEmpty::Drop, abi::SILENT)
        | flag(!service.source_ranges.is_empty(), abi::RESTRICTED)
        | flag(service.exclusive, abi::EXCLUSIVE)
}

pub(super) fn remove(state: &mut State, frontend: Frontend) -> Result<(), Error> {
    let key = key(frontend);
    let Some(old) = state.maps.cilium_lb4_services.get(&key)? else {
        return Ok(());
    };
    state.maps.cilium_lb4_services.unset(&key)?;
    remove_backends(&mut state.maps, old)?;
    let addresses = &mut state.generations.addresses;
    addresses.release(&mut state.maps, frontend, is_exclusive(old))
}

/// Each under its generation.
pub(super) fn list(maps: &Maps) -> Result<Vec<(u32, Service)>, Error> {
    let mut services = Vec::new();
    let mut ranges = source_ranges::all(maps)?;
    for (key, value) in maps.cilium_lb4_services.all()? {
        if let Some(frontend) = frontend(&key) {
            let ranges = ranges.remove(&value.generation).unwrap_or_default();
            let service = read(maps, frontend, value, ranges)?;
            services.push((value.generation, service));
        }
    }
    Ok(services)
}

fn remove_backends(maps: &mut Maps, old: abi::Service) -> Result<(), Error> {
    for index in 0..old.count {
        let slot = abi::Slot {
            generation: old.generation,
            index,
        };
        if let Some(backend) = maps.cilium_lb4_backends.get(&slot)? {
            maps.cilium_lb4_members.unset(&abi::Member {
                generation: old.generation,
                backend,
            })?;
        }
        maps.cilium_lb4_backends.unset(&slot)?;
    }
    maglev::unset(maps, old.generation, old.slots)?;
    if old.flags & abi::RESTRICTED != 0 {
        source_ranges::unset(maps, old.generation)?;
    }
    Ok(())
}

fn read(
    maps: &Maps,
    frontend: Frontend,
    value: abi::Service,
    source_ranges: Vec<Ipv4Net>,
) -> Result<Service, Error> {
    let mut backends = Vec::new();
    for index in 0..value.count {
        let slot = abi::Slot {
            generation: value.generation,
            index,
        };
        if let Some(backend) = maps.cilium_lb4_backends.get(&slot)? {
            backends.push(Backend {
                ip: ip(backend.address),
                port: u16::from_be(backend.port),
            });
        }
    }
    let affinity_seconds = (value.affinity_seconds != 0).then_some(value.affinity_seconds);
    Ok(Service {
        frontend,
        backends,
        affinity_seconds,
        when_empty: if value.flags & abi::SILENT == 0 {
            WhenEmpty::Refuse
        } else {
            WhenEmpty::Drop
        },
        exclusive: is_exclusive(value),
        source_ranges,
        maglev: (value.slots != 0).then_some(Maglev {
            slots: value.slots,
            key: value.key,
        }),
    })
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

fn key(frontend: Frontend) -> abi::Frontend {
    let protocol = match frontend.protocol {
        Protocol::Tcp => TCP,
        Protocol::Udp => UDP,
        Protocol::Sctp => SCTP,
    };
    abi::Frontend {
        address: address(frontend.ip),
        port: frontend.port.to_be(),
        protocol,
        scope: number(frontend.scope),
    }
}

fn frontend(key: &abi::Frontend) -> Option<Frontend> {
    let protocol = match key.protocol {
        TCP => Protocol::Tcp,
        UDP => Protocol::Udp,
        SCTP => Protocol::Sctp,
        _ => return None,
    };
    Some(Frontend {
        ip: ip(key.address),
        port: u16::from_be(key.port),
        protocol,
        scope: scope(key.scope),
    })
}

pub(super) fn number(scope: Scope) -> u8 {
    match scope {
        Scope::Inside => abi::INSIDE,
        Scope::Outside => abi::OUTSIDE,
    }
}

fn scope(number: u8) -> Scope {
    if number == abi::OUTSIDE {
        Scope::Outside
    } else {
        Scope::Inside
    }
}

fn is_exclusive(service: abi::Service) -> bool {
    service.flags & abi::EXCLUSIVE != 0
}

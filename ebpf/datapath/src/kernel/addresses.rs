//! Which addresses are those of services, and of nothing else: one entry beside the services' own for each, and for who asks.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::maps::{Maps, address};
use super::services::number;
use crate::{Error, Frontend, Scope};
use datapath_abi::service as abi;

type Place = (Ipv4Addr, Scope);

/// How many services are at each address.
#[derive(Debug, Default)]
pub(super) struct Addresses(BTreeMap<Place, Services>);

#[derive(Clone, Copy, Debug, Default)]
struct Services {
    all: usize,
    /// Those that say that the address is nobody else's.
    exclusive: usize,
}

impl Addresses {
    /// Takes a service into account that an earlier process wrote.
    pub(super) fn count(&mut self, frontend: Frontend, exclusive: bool) {
        let services = self.0.entry(place(frontend)).or_default();
        services.all += 1;
        services.exclusive += usize::from(exclusive);
    }

    /// Has the entries say what was counted, whatever they said; `found` are those that are there.
    pub(super) fn settle(
        &self,
        maps: &mut Maps,
        found: &BTreeMap<Place, u32>,
    ) -> Result<(), Error> {
        for place in found.keys().filter(|place| !self.0.contains_key(place)) {
            maps.cilium_lb4_services.unset(&any(*place))?;
        }
        for (place, services) in &self.0 {
            if found.get(place) != Some(&services.flags()) {
                write(maps, *place, services.flags())?;
            }
        }
        Ok(())
    }

    /// One service more. After an error there is none more.
    pub(super) fn claim(
        &mut self,
        maps: &mut Maps,
        frontend: Frontend,
        exclusive: bool,
    ) -> Result<(), Error> {
        self.change(maps, frontend, |all| all.count(frontend, exclusive))
            .inspect_err(|_| self.forget(frontend, exclusive))
    }

    /// One service less.
    pub(super) fn release(
        &mut self,
        maps: &mut Maps,
        frontend: Frontend,
        exclusive: bool,
    ) -> Result<(), Error> {
        self.change(maps, frontend, |all| all.forget(frontend, exclusive))
    }

    /// Counts anew and has the entry follow.
    fn change(
        &mut self,
        maps: &mut Maps,
        frontend: Frontend,
        count: impl FnOnce(&mut Self),
    ) -> Result<(), Error> {
        let before = self.flags(frontend);
        count(self);
        match self.flags(frontend) {
            now if now == before => Ok(()),
            Some(flags) => write(maps, place(frontend), flags),
            None => maps.cilium_lb4_services.unset(&any(place(frontend))),
        }
    }

    /// What the entry of an address says. `None`: there is none.
    fn flags(&self, frontend: Frontend) -> Option<u32> {
        self.0
            .get(&place(frontend))
            .map(|services| services.flags())
    }

    fn forget(&mut self, frontend: Frontend, exclusive: bool) {
        let Some(services) = self.0.get_mut(&place(frontend)) else {
            return;
        };
        services.all = services.all.saturating_sub(1);
        services.exclusive = services.exclusive.saturating_sub(usize::from(exclusive));
        if services.all == 0 {
            self.0.remove(&place(frontend));
        }
    }
}

impl Services {
    fn flags(self) -> u32 {
        if self.exclusive > 0 {
            abi::EXCLUSIVE
        } else {
            0
        }
    }
}

fn place(frontend: Frontend) -> Place {
    (frontend.ip, frontend.scope)
}

fn write(maps: &mut Maps, place: Place, flags: u32) -> Result<(), Error> {
    let nothing = abi::Service {
        generation: 0,
        count: 0,
        affinity_seconds: 0,
        flags,
        slots: 0,
        pad: 0,
        key: [0; 2],
    };
    maps.cilium_lb4_services.set(&any(place), &nothing)
}

/// The entry of an address, whatever the port.
fn any((ip, scope): Place) -> abi::Frontend {
    abi::Frontend {
        address: address(ip),
        port: 0,
        protocol: 0,
        scope: number(scope),
    }
}

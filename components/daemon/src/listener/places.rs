//! Who may have a connection, and how many.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Connections at once, of one listener.
const PLACES: usize = 256;
/// Of these, of one address.
const PER_ADDRESS: usize = 16;
/// More, for askers of this very machine: while others hold every place, the kubelet must hear that a program on the node's
/// network lives, or it ends it.
const RESERVE: usize = 32;

#[derive(Debug, Default)]
struct Taken {
    addresses: HashMap<IpAddr, usize>,
    /// The sum of those.
    places: usize,
    reserve: usize,
}

/// The places of one listener.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    /// `None`: of the reserve.
    address: Option<IpAddr>,
}

impl Places {
    /// A place for who asks from `peer`; `own` is the address that was asked.
    pub(super) fn take(&self, peer: IpAddr, own: IpAddr) -> Option<Place> {
        let mut taken = self.taken();
        let held = taken.addresses.get(&peer).copied().unwrap_or_default();
        let address = if held < PER_ADDRESS && taken.places < PLACES {
            taken.addresses.insert(peer, held + 1);
            taken.places += 1;
            Some(peer)
        } else if (peer == own || peer.is_loopback()) && taken.reserve < RESERVE {
            taken.reserve += 1;
            None
        } else {
            return None;
        };
        Some(Place {
            places: self.clone(),
            address,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let Some(address) = self.address else {
            taken.reserve -= 1;
            return;
        };
        taken.places -= 1;
        if let Some(held) = taken.addresses.get_mut(&address) {
            *held -= 1;
            if *held == 0 {
                taken.addresses.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn pod(number: usize) -> IpAddr {
        let number = u32::try_from(number).unwrap();
        IpAddr::from((0x0a00_0000 + number).to_be_bytes())
    }

    /// All that one address gets.
    fn all(places: &Places, peer: IpAddr) -> Vec<Place> {
        std::iter::from_fn(|| places.take(peer, NODE)).collect()
    }

    #[test]
    fn one_address_takes_its_share_and_no_more_and_what_it_gives_back_is_free_again() {
        let places = Places::default();
        let mut held = all(&places, pod(0));
        assert_eq!(held.len(), PER_ADDRESS);
        assert_eq!(all(&places, pod(1)).len(), PER_ADDRESS);
        held.pop();
        assert!(places.take(pod(0), NODE).is_some());
        drop(held);
        assert!(places.taken().addresses.is_empty());
        assert_eq!(places.taken().places, 0);
    }

    #[test]
    fn while_others_hold_every_place_who_asks_from_the_machine_itself_has_one() {
        let places = Places::default();
        let held: Vec<Place> = (0..PLACES).flat_map(|n| all(&places, pod(n))).collect();
        assert_eq!(held.len(), PLACES);
        assert!(places.take(pod(PLACES), NODE).is_none());
        let own = places.take(NODE, NODE);
        let loopback = places.take(IpAddr::from([127, 0, 0, 1]), NODE);
        assert!(own.is_some() && loopback.is_some());
        // The reserve has an end, too.
        let rest = all(&places, NODE);
        assert_eq!(rest.len(), RESERVE - 2);
        drop(own);
        assert_eq!(all(&places, NODE).len(), 1);
    }
}

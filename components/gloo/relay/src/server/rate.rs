//! How often an address may try.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Addresses remembered. When there are more, those whose places are all free again are forgotten, then all.
const ADDRESSES: usize = 4096;

/// `burst` attempts at once, then one each `every`.
#[derive(Debug)]
pub(super) struct Rate {
    burst: u32,
    every: Duration,
    /// When all places of the address are free again.
    free: Mutex<HashMap<IpAddr, Instant>>,
}

impl Rate {
    pub(super) fn new(burst: u32, every: Duration) -> Self {
        Self {
            burst,
            every,
            free: Mutex::default(),
        }
    }

    /// Whether one more is allowed at `now`; it counts if so.
    pub(super) fn allows(&self, address: IpAddr, now: Instant) -> bool {
        let mut free = self
            .free
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if free.len() >= ADDRESSES && !free.contains_key(&address) {
            free.retain(|_, until| *until > now);
            if free.len() >= ADDRESSES {
                free.clear();
            }
        }
        let until = free.entry(address).or_insert(now);
        let next = (*until).max(now) + self.every;
        if next.duration_since(now) > self.every * self.burst {
            return false;
        }
        *until = next;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_tries_too_often_waits_and_others_do_not() {
        let rate = Rate::new(3, Duration::from_secs(10));
        let (now, one) = (Instant::now(), IpAddr::from([10, 0, 0, 1]));
        let allowed = (0..1000).filter(|_| rate.allows(one, now)).count();
        assert_eq!(allowed, 3);
        assert!(rate.allows(IpAddr::from([10, 0, 0, 2]), now));
        assert!(rate.allows(one, now + Duration::from_secs(10)));
        assert!(!rate.allows(one, now + Duration::from_secs(10)));
    }

    #[test]
    fn the_memory_of_addresses_is_bounded() {
        let rate = Rate::new(1, Duration::from_secs(10));
        let now = Instant::now();
        for address in 0..10_000_u32 {
            rate.allows(IpAddr::from(address.to_be_bytes()), now);
        }
        assert!(rate.free.lock().unwrap().len() <= ADDRESSES);
    }
}

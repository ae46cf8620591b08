use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 1);

fn pool(cidr: &str) -> Pool {
    Pool::new(vec![cidr.parse().unwrap()], ROUTER)
}

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, 1, last)
}

#[test]
fn network_broadcast_and_router_are_never_handed_out() {
    let mut pool = pool("10.244.1.0/29");
    let now = Instant::now();
    let given: Vec<_> = (0..5)
        .map(|n| pool.lease("p", &n.to_string(), now).unwrap())
        .collect();
    assert_eq!(given, [ip(2), ip(3), ip(4), ip(5), ip(6)]);
    let error = pool.lease("p", "6", now).unwrap_err();
    assert!(error.to_string().contains("10.244.1.0/29"), "{error}");
}

#[test]
fn a_freed_address_rests_until_the_circle_is_round() {
    let mut pool = pool("10.244.1.0/29");
    let now = Instant::now();
    let first = pool.lease("a", "t", now).unwrap();
    pool.confirm(first, "t", "a", now).unwrap();
    assert!(pool.release(first, "a"));
    assert_ne!(pool.lease("b", "u", now).unwrap(), first);
}

#[test]
fn a_lease_that_is_not_confirmed_ends_after_ten_minutes() {
    let mut pool = pool("10.244.1.0/30");
    let now = Instant::now();
    let address = pool.lease("a", "t", now).unwrap();
    pool.lease("b", "u", now + LEASE.saturating_sub(Duration::from_secs(1)))
        .unwrap_err();
    assert_eq!(pool.lease("b", "u", now + LEASE).unwrap(), address);
    assert_eq!(
        pool.confirm(address, "t", "a", now + LEASE),
        Err(PoolError::LeaseLost(address))
    );
}

#[test]
fn an_address_leased_before_a_restart_is_confirmed_when_it_is_free_and_ours() {
    let mut pool = pool("10.244.1.0/24");
    let now = Instant::now();
    pool.confirm(ip(9), "old", "a", now).unwrap();
    assert!(matches!(
        pool.confirm(ip(9), "old", "b", now),
        Err(PoolError::Taken { .. })
    ));
    let foreign = Ipv4Addr::new(10, 244, 2, 9);
    assert_eq!(
        pool.confirm(foreign, "old", "b", now),
        Err(PoolError::Foreign(foreign))
    );
    assert_eq!(
        pool.confirm(ip(0), "old", "b", now),
        Err(PoolError::Foreign(ip(0)))
    );
}

#[test]
fn undoing_a_failed_add_never_takes_an_endpoints_address() {
    let mut pool = pool("10.244.1.0/24");
    let now = Instant::now();
    pool.confirm(ip(9), "t", "a", now).unwrap();
    assert!(pool.release_lease(ip(9)).is_err());
    assert!(!pool.release(ip(9), "b"));
    assert_eq!(pool.allocations()[&ip(9)], "a");
    assert!(pool.release_lease(ip(77)).is_ok());
}

#[test]
fn the_router_avoids_addresses_that_running_pods_hold() {
    let cidrs = ["10.244.1.0/24".parse().unwrap()];
    assert_eq!(router_address(&cidrs, &[]), Some(ip(1)));
    assert_eq!(router_address(&cidrs, &[ip(1), ip(2)]), Some(ip(3)));
}

#[derive(Clone, Debug)]
enum Step {
    Lease,
    Confirm(usize),
    Release(usize),
    GiveUp(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Lease),
        3 => (0..20usize).prop_map(Step::Confirm),
        2 => (0..20usize).prop_map(Step::Release),
        1 => (0..20usize).prop_map(Step::GiveUp),
        1 => (0..700u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// The slow obvious model: who holds a confirmed address keeps it until that owner releases it.
    #[test]
    fn no_address_ever_has_two_confirmed_owners(steps in proptest::collection::vec(step(), 1..120)) {
        let mut pool = pool("10.244.1.0/28");
        let mut now = Instant::now();
        let mut leased: Vec<(Ipv4Addr, String)> = Vec::new();
        let mut confirmed: BTreeMap<Ipv4Addr, String> = BTreeMap::new();
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Lease => {
                    let token = format!("t{n}");
                    if let Ok(address) = pool.lease(&token, &token, now) {
                        prop_assert!(!confirmed.contains_key(&address));
                        prop_assert_ne!(address, ROUTER);
                        leased.push((address, token));
                    }
                }
                Step::Confirm(i) if !leased.is_empty() => {
                    let (address, token) = leased[i % leased.len()].clone();
                    if pool.confirm(address, &token, &token, now).is_ok() {
                        prop_assert!(confirmed.insert(address, token).is_none());
                    }
                }
                Step::Release(i) if !leased.is_empty() => {
                    let (address, token) = leased[i % leased.len()].clone();
                    let held = confirmed.get(&address) == Some(&token);
                    prop_assert_eq!(pool.release(address, &token), held);
                    if held { confirmed.remove(&address); }
                }
                Step::GiveUp(i) if !leased.is_empty() => {
                    let (address, _) = leased[i % leased.len()];
                    prop_assert_eq!(pool.release_lease(address).is_err(), confirmed.contains_key(&address));
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
                _ => {}
            }
            let known = pool.allocations();
            prop_assert!(confirmed.iter().all(|(address, owner)| known.get(address) == Some(owner)));
            prop_assert!(known.len() <= pool.capacity());
        }
        let distinct: BTreeSet<_> = confirmed.keys().collect();
        prop_assert_eq!(distinct.len(), confirmed.len());
    }
}

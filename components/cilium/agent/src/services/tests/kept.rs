//! What is kept from look to look is what is said of everything at once.

use std::collections::BTreeMap;

use kube::runtime::watcher::Event;
use proptest::prelude::*;

use super::*;
use crate::kubernetes::{Readers, Watched};

const NAMES: [&str; 3] = ["a", "b", "c"];
const ZONES: [&str; 2] = ["north", "south"];

/// What happens between two looks.
#[derive(Clone, Debug)]
enum Change {
    Service(&'static str, Option<Value>),
    Slice(&'static str, Option<Value>),
    Pod(&'static str, Option<Value>),
    Zone(&'static str),
    /// Which of [`reservations`] is so now.
    Reserved(usize),
    /// The watch begins anew, and this Service is gone meanwhile.
    Relist(&'static str),
}

fn named() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

/// Few addresses, ports and ages, so that Services often want the same, also what another has by its kind.
fn service_objects() -> impl Strategy<Value = Value> {
    let created = prop::sample::select(
        &[
            None,
            Some("2026-01-01T00:00:00Z"),
            Some("2026-01-02T00:00:00Z"),
        ][..],
    );
    let kind = prop::sample::select(&["ClusterIP", "LoadBalancer", "ExternalName"][..]);
    let local = prop::sample::select(&["Local", "Cluster"][..]);
    let node = OWN.ip.to_string();
    let externals = ["203.0.113.1", "203.0.113.2", "10.96.0.1", &node];
    let external = prop::sample::select(externals.map(str::to_owned).to_vec());
    let port = prop::sample::select(&[80_u16, 81, 30_080, 30_081][..]);
    (created, kind, local, 1..3_u8, external, port, any::<bool>()).prop_map(
        |(created, kind, local, address, external, port, headless)| {
            // Not the one it may name at the node: that would always be its own.
            let other = 81 - port % 2;
            let labels = headless.then(|| json!({"service.kubernetes.io/headless": ""}));
            json!({
                "metadata": {"creationTimestamp": created, "labels": labels},
                "spec": {
                    "type": kind, "clusterIP": format!("10.96.0.{address}"), "externalIPs": [external],
                    "externalTrafficPolicy": local, "healthCheckNodePort": 32_000 + other,
                    "ports": [{"name": "http", "port": port, "nodePort": 30_000 + other}],
                },
            })
        },
    )
}

fn slice_objects() -> impl Strategy<Value = Value> {
    let node = prop::sample::select(&["worker-1", "worker-2"][..]);
    let endpoint = (1..5_u8, node, any::<bool>(), prop::sample::select(&ZONES[..])).prop_map(
        |(byte, node, ready, zone)| {
            json!({
                "addresses": [format!("10.244.0.{byte}")], "nodeName": node, "conditions": {"ready": ready},
                "hints": {"forZones": [{"name": zone}]},
            })
        },
    );
    let service = prop::option::weighted(0.9, named());
    let family = prop::sample::select(&["IPv4", "IPv4", "IPv6"][..]);
    (service, family, prop::collection::vec(endpoint, 0..4)).prop_map(
        |(service, family, endpoints)| {
            let labels = service.map(|name| json!({"kubernetes.io/service-name": name}));
            json!({
                "metadata": {"labels": labels}, "addressType": family, "endpoints": endpoints,
                "ports": [{"name": "http", "port": 8080}],
            })
        },
    )
}

fn pods() -> impl Strategy<Value = Value> {
    let phase = prop::sample::select(&["Running", "Succeeded"][..]);
    (80..83_u16, phase).prop_map(|(port, phase)| {
        let host_port = json!({"containerPort": 8080, "hostPort": 30_000 + port});
        json!({
            "metadata": {},
            "spec": {"containers": [{"name": "main", "ports": [host_port]}]},
            "status": {"phase": phase, "podIP": "10.244.1.9"},
        })
    })
}

fn changes() -> impl Strategy<Value = Change> {
    let some = prop::option::weighted(0.7, service_objects());
    let slices = prop::option::weighted(0.8, slice_objects());
    let pods = prop::option::weighted(0.7, pods());
    prop_oneof![
        4 => (named(), some).prop_map(|(name, object)| Change::Service(name, object)),
        4 => (named(), slices).prop_map(|(name, object)| Change::Slice(name, object)),
        2 => (named(), pods).prop_map(|(name, object)| Change::Pod(name, object)),
        1 => prop::sample::select(&ZONES[..]).prop_map(Change::Zone),
        1 => (0..3_usize).prop_map(Change::Reserved),
        1 => named().prop_map(Change::Relist),
    ]
}

/// An object, or the last word about it.
fn event<K: serde::de::DeserializeOwned>(name: &str, object: Option<Value>) -> Event<K> {
    let stays = object.is_some();
    let gone =
        json!({"metadata": {}, "spec": {"containers": []}, "addressType": "IPv4", "endpoints": []});
    let mut object = object.unwrap_or(gone);
    object["metadata"]["namespace"] = json!("shop");
    object["metadata"]["name"] = json!(name);
    let object = serde_json::from_value(object).unwrap();
    if stays {
        Event::Apply(object)
    } else {
        Event::Delete(object)
    }
}

/// Nothing, where an API server answers among the addresses that Services name, and where a process listens.
fn reservations() -> [Reserved; 3] {
    let external = Ipv4Addr::new(203, 0, 113, 1);
    let listens = (external, Protocol::Tcp, 80);
    let of = |own, client, processes| Reserved::of([], [own, own], [], client, processes);
    [
        Reserved::default(),
        of(OWN.ip, Some((external, 81)), Processes::new()),
        of(external, None, [listens].into()),
    ]
}

fn relist(watched: &Watched, without: &str) {
    let services = watched.services.list();
    let left = services
        .iter()
        .filter(|service| service.metadata.name.as_deref() != Some(without));
    watched.services.take(Ok(Event::Init));
    for service in left {
        let object = serde_json::to_value(&**service).and_then(serde_json::from_value);
        watched.services.take(Ok(Event::InitApply(object.unwrap())));
    }
    watched.services.take(Ok(Event::InitDone));
}

fn at_once(
    watched: &Watched,
    own: Own<'_>,
) -> (BTreeMap<Frontend, Balanced>, BTreeMap<u16, usize>) {
    let (services, slices) = (watched.services.list(), watched.slices.list());
    let pods = watched.pods.list();
    let services = || services.iter().map(AsRef::as_ref);
    let grouped = Slices::of(slices.iter().map(AsRef::as_ref));
    let checks = services().filter_map(|service| {
        let behind = grouped.behind(key(service)).iter().copied();
        health_checks::of(service, behind, own)
    });
    let checks = checks.map(|(port, check)| (port, check.local_endpoints));
    let checks = checks.collect();
    (
        translate(services(), &grouped, pods.iter().map(AsRef::as_ref), own),
        checks,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn looks_at_what_changed_end_where_a_look_at_everything_does(
        looks in prop::collection::vec(prop::collection::vec(changes(), 0..5), 1..8),
    ) {
        let watched = Watched::new(&Readers::default());
        let mut kept = Kept::default();
        let reservations = reservations();
        let mut own = OWN;
        let mut before = BTreeMap::new();
        for changes in looks {
            for change in changes {
                match change {
                    Change::Service(name, object) => watched.services.take(Ok(event(name, object))),
                    Change::Slice(name, object) => watched.slices.take(Ok(event(name, object))),
                    Change::Pod(name, object) => watched.pods.take(Ok(event(name, object))),
                    Change::Zone(zone) => own.zone = Some(zone),
                    Change::Reserved(which) => own.reserved = &reservations[which],
                    Change::Relist(without) => relist(&watched, without),
                }
            }
            let touched = kept.follow(&watched, own);
            let (expected, checks) = at_once(&watched, own);
            let found: BTreeMap<Frontend, Balanced> = kept
                .frontends()
                .filter_map(|frontend| Some((*frontend, kept.at(frontend)?.1.clone())))
                .collect();
            prop_assert_eq!(&found, &expected);
            for frontend in expected.keys().chain(before.keys()) {
                let changed = before.get(frontend) != expected.get(frontend);
                prop_assert!(!changed || touched.contains(frontend), "{frontend:?} was not told of");
            }
            let found = kept.health_checks().into_iter();
            let found: BTreeMap<u16, usize> =
                found.map(|(port, check)| (port, check.local_endpoints)).collect();
            prop_assert_eq!(found, checks);
            before = expected;
        }
    }
}

#[test]
fn a_look_without_a_change_touches_nothing() {
    let watched = Watched::new(&Readers::default());
    let mut kept = Kept::default();
    let spec = json!({"metadata": {}, "spec": http()});
    watched.services.take(Ok(event("a", Some(spec))));
    assert_eq!(kept.follow(&watched, OWN).len(), 1);
    assert!(kept.follow(&watched, OWN).is_empty());
}

#[test]
fn who_wants_an_address_and_port_is_named() {
    let watched = Watched::new(&Readers::default());
    let mut kept = Kept::default();
    let old = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": http()});
    let young = json!({"metadata": {"creationTimestamp": "2026-01-02T00:00:00Z"}, "spec": http()});
    watched.services.take(Ok(event("a", Some(young))));
    watched.services.take(Ok(event("b", Some(old))));
    let touched = kept.follow(&watched, OWN);
    let frontend = touched.first().unwrap();
    let (claimant, _) = kept.at(frontend).unwrap();
    assert_eq!(claimant.to_string(), "Service shop/b");
}

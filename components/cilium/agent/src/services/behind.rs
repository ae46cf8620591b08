//! Which slices are behind each Service, followed from look to look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::service_of;
use crate::seen::Changed;
use crate::watch::Key;

/// The slices that name a Service.
#[derive(Debug, Default)]
pub struct Behind {
    /// The Service of each slice.
    services: BTreeMap<Key, Key>,
    /// Lists, since most have one.
    slices: BTreeMap<Key, Vec<(Key, Arc<EndpointSlice>)>>,
}

impl Behind {
    /// Takes over what changed. The answer are the Services this is about: those that slices name now, and those they named before.
    pub fn follow(&mut self, changed: Changed<EndpointSlice>) -> BTreeSet<Key> {
        let mut about = BTreeSet::new();
        for key in &changed.gone {
            about.extend(self.forget(key));
        }
        for (key, slice) in changed.put {
            about.extend(self.forget(&key));
            if let Some((namespace, name)) = service_of(&slice) {
                let service = (namespace.to_owned(), name.to_owned());
                about.insert(service.clone());
                self.services.insert(key.clone(), service.clone());
                let slices = self.slices.entry(service).or_default();
                slices.reserve_exact(1);
                slices.push((key, slice));
            }
        }
        about
    }

    fn forget(&mut self, slice: &Key) -> Option<Key> {
        let service = self.services.remove(slice)?;
        if let Some(slices) = self.slices.get_mut(&service) {
            slices.retain(|(other, _)| other != slice);
            if slices.is_empty() {
                self.slices.remove(&service);
            }
        }
        Some(service)
    }

    /// The slices of one Service.
    pub fn of(&self, service: &Key) -> impl Iterator<Item = &EndpointSlice> {
        let slices = self.slices.get(service).into_iter().flatten();
        slices.map(|(_, slice)| &**slice)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::seen::Seen;
    use crate::services::{addresses_in, addresses_of};

    const SERVICES: [&str; 3] = ["web", "api", "db"];

    type Slices = BTreeMap<Key, Arc<EndpointSlice>>;

    fn slice(service: Option<&str>, last_byte: u8) -> Arc<EndpointSlice> {
        let labels = service.map(|name| json!({"kubernetes.io/service-name": name}));
        let slice = json!({
            "metadata": {"namespace": "shop", "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [format!("10.0.0.{last_byte}")]}],
        });
        Arc::new(serde_json::from_value(slice).unwrap())
    }

    fn key(name: &str) -> Key {
        ("shop".to_owned(), name.to_owned())
    }

    /// Three names of slices at most, so that one is often another Service's at the next look.
    fn slices() -> impl Strategy<Value = Slices> {
        let service = prop::option::weighted(0.8, prop::sample::select(&SERVICES[..]));
        let named = (prop::sample::select(&["a", "b", "c"][..]), service, 1..4_u8);
        let one = named.prop_map(|(name, service, byte)| (key(name), slice(service, byte)));
        prop::collection::vec(one, 0..4).prop_map(|all| all.into_iter().collect())
    }

    proptest! {
        #[test]
        fn it_knows_who_is_behind_each_service_and_says_of_which_that_changed(
            looks in prop::collection::vec(slices(), 1..6),
        ) {
            let (mut seen, mut behind) = (Seen::default(), Behind::default());
            let mut before = BTreeMap::new();
            for now in looks {
                let about = behind.follow(seen.look(&now, |_| false));
                for name in SERVICES {
                    let listed = now.values().map(AsRef::as_ref);
                    let expected = addresses_of(listed, ("shop", name));
                    prop_assert_eq!(&addresses_in(behind.of(&key(name))), &expected);
                    let old = before.insert(name, expected.clone()).unwrap_or_default();
                    prop_assert!(old == expected || about.contains(&key(name)), "{}", name);
                }
            }
        }
    }

    #[test]
    fn a_look_without_a_change_is_about_nobody() {
        let (mut seen, mut behind) = (Seen::default(), Behind::default());
        let slices = Slices::from([(key("a"), slice(Some("web"), 1))]);
        assert_eq!(behind.follow(seen.look(&slices, |_| false)).len(), 1);
        assert!(behind.follow(seen.look(&slices, |_| false)).is_empty());
    }
}

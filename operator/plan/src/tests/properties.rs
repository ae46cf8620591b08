use std::collections::BTreeMap;

use gloonet_catalog::{ComponentId, Health};
use jiff::{SignedDuration, Timestamp};
use proptest::{collection::vec, prelude::*, sample::subsequence};

use super::world::{KINDS, World, component};
use crate::{Desired, Intent, lint, plan, removal};

/// Needs only point backwards in the catalog's order, so there is no circle.
fn desired() -> impl Strategy<Value = Desired> {
    let one = (
        vec((0..KINDS.len(), 0..2_u8), 0..4),
        any::<u16>(),
        0..3_u8,
        0..3_u8,
    );
    vec(one, 1..7).prop_map(|specs| {
        let components =
            specs
                .into_iter()
                .enumerate()
                .map(|(index, (objects, needs, intent, health))| {
                    let id = ComponentId::ALL[index];
                    let needs: Vec<_> = (0..index)
                        .filter(|other| needs & (1 << other) != 0)
                        .map(|other| ComponentId::ALL[other])
                        .collect();
                    let mut named: BTreeMap<usize, u8> = BTreeMap::new();
                    named.extend(objects);
                    let objects: Vec<String> = named
                        .into_iter()
                        .map(|(kind, content)| format!("{}/{id}={content}", KINDS[kind].1))
                        .collect();
                    let mut one = component(
                        id,
                        &needs,
                        &objects.iter().map(String::as_str).collect::<Vec<_>>(),
                    );
                    one.intent =
                        [Intent::Wanted, Intent::Paused, Intent::Unwanted][usize::from(intent)];
                    one.health = [
                        Health::healthy(""),
                        Health::progressing(""),
                        Health::degraded(""),
                    ][usize::from(health)]
                    .clone();
                    one
                });
        Desired {
            components: components.collect(),
        }
    })
}

fn all_wanted(mut desired: Desired) -> Desired {
    desired
        .components
        .iter_mut()
        .for_each(|one| one.intent = Intent::Wanted);
    desired
}

proptest! {
    #[test]
    fn no_plan_has_a_fault(first in desired(), second in desired(), lost in subsequence((0..12_usize).collect::<Vec<_>>(), 0..6)) {
        let mut world = World::new();
        world.converge(&mut all_wanted(first));
        let keys: Vec<_> = world.live.objects.keys().cloned().collect();
        for (index, key) in keys.iter().enumerate() {
            if lost.contains(&index) {
                world.live.objects.remove(key);
            }
        }
        let made = plan(&second, &world.live, &world.inventory).unwrap();
        prop_assert_eq!(lint::lint(&made.steps, &second, &world.live, &world.inventory), Ok(()));
    }

    #[test]
    fn work_ends_and_then_nothing_is_written(first in desired(), second in desired()) {
        let (mut first, mut second) = (all_wanted(first), all_wanted(second));
        let mut world = World::new();
        world.converge(&mut first);
        world.converge(&mut second);
        for component in &second.components {
            for key in component.keys() {
                prop_assert!(world.live.get(&key).is_some(), "{} is missing", key);
            }
        }
        prop_assert!(world.reconcile(&second).steps.is_empty());
    }

    #[test]
    fn an_uninstall_always_ends_and_never_deletes_what_is_kept(first in desired(), hangs in any::<u16>()) {
        let mut world = World::new();
        let mut first = all_wanted(first);
        world.converge(&mut first);
        let order = crate::graph::order(&first).unwrap();
        let mut started: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut now = Timestamp::UNIX_EPOCH;
        for _ in 0..200 {
            let look = removal::uninstall(&order, &world.live, &world.inventory, now, |name| started.get(name).copied());
            if let Some(current) = look.current {
                started.entry(current).or_insert(now);
            }
            for step in &look.steps {
                let stuck = |name: &str| order.iter().position(|id| id.as_str() == name).is_some_and(|at| hangs & (1 << at) != 0);
                if !matches!(step, crate::Step::Delete { component, .. } if stuck(component)) {
                    world.run(step);
                }
            }
            now += SignedDuration::from_secs(5);
        }
        prop_assert!(world.released);
        prop_assert!(world.deleted.iter().all(|key| !key.is_kept()));
    }
}

//! How often single entries of maps were written and removed: what the agent's metrics tell of a datapath that refuses.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::MapOperations;

pub(super) const UPDATE: &str = "update";
pub(super) const DELETE: &str = "delete";

/// By map, operation and whether it was done.
type Done = BTreeMap<(&'static str, &'static str, bool), u64>;

/// Of the whole process: tables of single policies have no handle that stays.
static DONE: Mutex<Done> = Mutex::new(Done::new());

/// Counts the result and hands it on.
pub(super) fn counted<T, E>(
    map: &'static str,
    operation: &'static str,
    result: Result<T, E>,
) -> Result<T, E> {
    *lock().entry((map, operation, result.is_ok())).or_default() += 1;
    result
}

/// In the order of maps.
pub(super) fn all() -> Vec<MapOperations> {
    let done = lock();
    let rows = done.iter();
    rows.map(|((map, operation, well), number)| MapOperations {
        map,
        operation,
        well: *well,
        number: *number,
    })
    .collect()
}

fn lock() -> MutexGuard<'static, Done> {
    DONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_and_what_is_refused_is_counted_apart_and_handed_on() {
        assert_eq!(counted("of_this_test", UPDATE, Ok::<_, ()>(7)), Ok(7));
        assert_eq!(counted("of_this_test", UPDATE, Ok::<_, ()>(8)), Ok(8));
        assert_eq!(counted("of_this_test", UPDATE, Err::<(), _>(9)), Err(9));
        assert_eq!(counted("of_this_test", DELETE, Ok::<_, ()>(1)), Ok(1));
        let ours = all().into_iter().filter(|one| one.map == "of_this_test");
        let ours: Vec<_> = ours
            .map(|one| (one.operation, one.well, one.number))
            .collect();
        assert_eq!(
            ours,
            [(DELETE, true, 1), (UPDATE, false, 1), (UPDATE, true, 2)]
        );
    }
}

use std::collections::BTreeMap;

use crate::{Error, MAX_POLICY_ENTRIES, PolicyEntry, PolicyKey};

type Entries = BTreeMap<PolicyKey, PolicyEntry>;

/// Policies in memory, with the kernel's limits.
#[derive(Debug, Default)]
pub(super) struct Policies(pub(super) BTreeMap<u32, Entries>);

impl Policies {
    pub(super) fn set(&mut self, id: u32, entries: Entries) -> Result<(), Error> {
        if id == 0 {
            return Err(Error::PolicyZero);
        }
        if let Some(key) = entries.keys().find(|key| !key.is_valid()) {
            return Err(Error::PolicyKey { id, key: *key });
        }
        if entries.len() > MAX_POLICY_ENTRIES {
            return Err(Error::PolicyFull {
                id,
                entries: entries.len(),
                max: MAX_POLICY_ENTRIES,
            });
        }
        self.0.insert(id, entries);
        Ok(())
    }

    pub(super) fn update(
        &mut self,
        id: u32,
        upserts: &[(PolicyKey, PolicyEntry)],
        removes: &[PolicyKey],
    ) -> Result<(), Error> {
        let mut entries = self.0.get(&id).ok_or(Error::NoPolicy { id })?.clone();
        entries.extend(upserts.iter().copied());
        for key in removes {
            entries.remove(key);
        }
        self.set(id, entries)
    }
}

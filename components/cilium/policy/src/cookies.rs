//! Numbers for sets of policies, so that a packet's verdict can name those that led to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{input::PolicyRef, key::Cookie};

/// A policy's rule, as a number of this process.
pub(crate) type Origin = u32;

/// Sets of origins, in order and without repetition.
pub(crate) type Origins = Vec<Origin>;

/// Both tables: origins by policy, cookies by set of origins.
#[derive(Debug, Default)]
pub(crate) struct Cookies {
    origins: BTreeMap<PolicyRef, Origin>,
    refs: BTreeMap<Origin, PolicyRef>,
    by_origins: BTreeMap<Origins, Cookie>,
    meaning: BTreeMap<Cookie, Vec<PolicyRef>>,
    last_origin: Origin,
    last_cookie: u32,
    /// Cookies in use when they were last counted.
    in_use: usize,
}

impl Cookies {
    pub(crate) fn origin(&mut self, policy: &PolicyRef) -> Origin {
        if let Some(origin) = self.origins.get(policy) {
            return *origin;
        }
        self.last_origin = free_after(self.last_origin, |n| self.refs.contains_key(&n));
        self.origins.insert(policy.clone(), self.last_origin);
        self.refs.insert(self.last_origin, policy.clone());
        self.last_origin
    }

    pub(crate) fn policy(&self, origin: Origin) -> Option<&PolicyRef> {
        self.refs.get(&origin)
    }

    /// The number of a set; 0 for the empty one.
    pub(crate) fn cookie(&mut self, origins: &Origins) -> Cookie {
        if origins.is_empty() {
            return Cookie::default();
        }
        if let Some(cookie) = self.by_origins.get(origins) {
            return *cookie;
        }
        self.last_cookie = free_after(self.last_cookie, |n| self.meaning.contains_key(&Cookie(n)));
        let cookie = Cookie(self.last_cookie);
        let policies = origins
            .iter()
            .filter_map(|o| self.refs.get(o).cloned())
            .collect();
        self.by_origins.insert(origins.clone(), cookie);
        self.meaning.insert(cookie, policies);
        cookie
    }

    pub(crate) fn policies(&self, cookie: Cookie) -> &[PolicyRef] {
        self.meaning.get(&cookie).map_or(&[], Vec::as_slice)
    }

    /// Whether so many came since the last [`Self::keep`] that it is worth looking which are in use.
    pub(crate) fn crowded(&self) -> bool {
        self.by_origins.len() > 2 * self.in_use + 4096
    }

    /// Forgets what is not in use.
    pub(crate) fn keep(&mut self, cookies: &BTreeSet<Cookie>, mut origins: BTreeSet<Origin>) {
        self.by_origins.retain(|_, cookie| cookies.contains(cookie));
        self.meaning.retain(|cookie, _| cookies.contains(cookie));
        origins.extend(self.by_origins.keys().flatten());
        self.refs.retain(|origin, _| origins.contains(origin));
        self.origins.retain(|_, origin| origins.contains(origin));
        self.in_use = self.by_origins.len();
    }
}

fn free_after(last: u32, taken: impl Fn(u32) -> bool) -> u32 {
    let mut next = last.wrapping_add(1).max(1);
    while taken(next) {
        next = next.wrapping_add(1).max(1);
    }
    next
}

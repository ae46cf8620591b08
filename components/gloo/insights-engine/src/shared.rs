//! What the last run left, for whoever asks.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use gloo_insights::{Code, Overview};

use crate::certificates;

/// The last page, and what became of the last run.
#[derive(Debug)]
pub struct Shared {
    page: RwLock<Option<(Arc<Overview>, Instant)>>,
    /// Set while the engine cannot run at all.
    trouble: RwLock<Option<String>>,
    /// Findings left out, by rule and cluster.
    omitted: RwLock<BTreeMap<(Code, String), usize>>,
    certificates: RwLock<certificates::All>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            page: RwLock::new(None),
            trouble: RwLock::new(Some("no run has ended yet".to_owned())),
            omitted: RwLock::default(),
            certificates: RwLock::default(),
        }
    }
}

impl Shared {
    pub fn publish(&self, page: Overview, omitted: BTreeMap<(Code, String), usize>) {
        let entry = (Arc::new(page), Instant::now());
        *self.page.write().unwrap_or_else(PoisonError::into_inner) = Some(entry);
        *self.omitted.write().unwrap_or_else(PoisonError::into_inner) = omitted;
        self.trouble(None);
    }

    pub fn trouble(&self, why: Option<String>) {
        *self.trouble.write().unwrap_or_else(PoisonError::into_inner) = why;
    }

    pub fn certify(&self, all: certificates::All) {
        let certificates = self.certificates.write();
        *certificates.unwrap_or_else(PoisonError::into_inner) = all;
    }

    pub fn page(&self) -> Option<(Arc<Overview>, Instant)> {
        let page = self.page.read().unwrap_or_else(PoisonError::into_inner);
        page.clone()
    }

    pub fn why(&self) -> Option<String> {
        let trouble = self.trouble.read().unwrap_or_else(PoisonError::into_inner);
        trouble.clone()
    }

    pub fn omitted(&self) -> BTreeMap<(Code, String), usize> {
        let omitted = self.omitted.read().unwrap_or_else(PoisonError::into_inner);
        omitted.clone()
    }

    pub fn certificates(&self) -> certificates::All {
        let certificates = self.certificates.read();
        certificates.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

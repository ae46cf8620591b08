//! What shall be, per component.

use gloonet_api::status::ComponentStatus;
use gloonet_catalog::{ComponentId, Health, SecretSpec};
use jiff::{SignedDuration, Timestamp};
use kube_core::DynamicObject;

use crate::{Fingerprint, ObjectKey, progress};

/// What shall be: every component of the catalog, wanted or not, in any order.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The components.
    pub components: Vec<DesiredComponent>,
}

/// One component of the catalog.
#[derive(Clone, Debug)]
pub struct DesiredComponent {
    /// Which.
    pub id: ComponentId,
    /// What must be healthy before it is installed or changed.
    pub needs: Vec<ComponentId>,
    /// What to do with it.
    pub intent: Intent,
    /// Its objects in the order they are applied, or why they could not be rendered. Empty unless it is wanted.
    pub objects: Result<Vec<DesiredObject>, String>,
    /// Secrets that must exist before its objects are applied.
    pub secrets: Vec<NeededSecret>,
    /// How it is now.
    pub health: Health,
    /// How long it may stay without any progress.
    pub deadline: SignedDuration,
    /// Its stored row is past its deadline: what is on its way gets no further without a change.
    pub stuck: bool,
}

/// What to do with a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Install and keep.
    Wanted,
    /// Leave as it is; nothing is written, health is still measured.
    Paused,
    /// Take away whatever of it is there.
    Unwanted,
}

/// One rendered object.
#[derive(Clone, Debug)]
pub struct DesiredObject {
    /// Its name.
    pub key: ObjectKey,
    /// Of its body.
    pub fingerprint: Fingerprint,
    /// What is applied.
    pub body: DynamicObject,
}

/// A Secret that must exist, and how it is.
#[derive(Clone, Debug)]
pub struct NeededSecret {
    /// What it must hold.
    pub spec: SecretSpec,
    /// How it is.
    pub condition: SecretCondition,
}

/// How a needed Secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretCondition {
    /// It could not be read: it is wanted, and nothing is done about it.
    Unread,
    /// Nothing to do.
    Complete,
    /// It does not exist.
    Missing,
    /// It exists without some of its keys.
    Incomplete,
    /// A certificate in it has less than a third of its life left.
    Expiring,
}

impl NeededSecret {
    /// Name of the Secret.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::secret(&self.spec.namespace, &self.spec.name)
    }
}

impl DesiredObject {
    /// `None` for a body without kind or name, which the catalog's own tests exclude.
    pub fn new(body: DynamicObject) -> Option<Self> {
        let key = ObjectKey::of(&body)?;
        let fingerprint = Fingerprint::of(&serde_json::to_value(&body).ok()?);
        Some(Self {
            key,
            fingerprint,
            body,
        })
    }
}

impl DesiredComponent {
    /// Keys of everything this component wants to exist, Secrets included.
    pub(crate) fn keys(&self) -> Vec<ObjectKey> {
        let objects = self
            .objects
            .iter()
            .flatten()
            .map(|object| object.key.clone());
        objects
            .chain(self.secrets.iter().map(NeededSecret::key))
            .collect()
    }
}

impl Desired {
    /// With those marked as stuck that the stored rows show past their deadline.
    #[must_use]
    pub fn after(mut self, rows: &[ComponentStatus], now: Timestamp) -> Self {
        for component in &mut self.components {
            let (name, deadline) = (component.id.as_str(), component.deadline);
            let row = rows.iter().find(|row| row.name == name);
            component.stuck = row.is_some_and(|row| progress::is_late(row, deadline, now));
        }
        self
    }

    /// One component.
    pub fn get(&self, id: ComponentId) -> Option<&DesiredComponent> {
        self.components.iter().find(|component| component.id == id)
    }
}

//! Runs the steps of a plan and keeps the inventory.

mod done;
mod written;

use gloonet_catalog::ComponentId;
use gloonet_plan::{
    DesiredObject, Entry, Failure, Fights, Fingerprint, Inventory, Live, ObjectKey, Reason,
    Retries, Step, Verdict,
};
use jiff::Timestamp;
use kube::Client;
use serde_json::json;

use crate::{
    apply::{self, Applied},
    delete,
    fault::Fault,
    inventory, secrets,
};
pub use done::Done;
use done::failed;
use written::Written;

/// The only writer of operands.
pub struct Hands {
    client: Client,
    inventory: Inventory,
    stored: Inventory,
    fights: Fights,
    retries: Retries,
    written: Written,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Hands({} objects)", self.inventory.entries.len())
    }
}

/// One apply and what is known about it.
#[derive(Clone, Copy)]
struct Write<'a> {
    id: ComponentId,
    object: &'a DesiredObject,
    reason: Reason,
    before: Option<&'a gloonet_plan::LiveObject>,
    now: Timestamp,
}

/// Secrets are not compared by content; this stands for it in the inventory.
pub(crate) fn secret_mark() -> Fingerprint {
    Fingerprint::of(&json!("Secret"))
}

impl Hands {
    /// Reads the inventory.
    pub async fn new(client: Client) -> Result<Self, Fault> {
        let inventory = inventory::load(&client).await?;
        Ok(Self {
            client,
            stored: inventory.clone(),
            inventory,
            fights: Fights::default(),
            retries: Retries::default(),
            written: Written::default(),
        })
    }

    /// Everything that was made and not deleted.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Who quarrels about what.
    pub fn fights(&self) -> &Fights {
        &self.fights
    }

    /// The next moment something may be written that others stood against, or that failed.
    pub fn next_try(&self, now: Timestamp) -> Option<Timestamp> {
        let moments = [self.fights.next_try(now), self.retries.next_try(now)];
        moments.into_iter().flatten().min()
    }

    /// What is there, own writes included that the watches have not shown yet.
    pub fn current(&mut self, live: Live, now: Timestamp) -> Live {
        self.written.over(live, now)
    }

    /// Takes Secrets with our label into the inventory that a lost inventory forgot.
    pub fn adopt(&mut self, owners: impl Iterator<Item = (ComponentId, ObjectKey)>, live: &Live) {
        for (id, key) in owners {
            if let (false, Some(found)) = (
                self.inventory.entries.contains_key(&key),
                live.objects.get(&key),
            ) {
                self.record(
                    id.as_str(),
                    key,
                    found.uid.clone(),
                    secret_mark(),
                    secret_mark(),
                );
            }
        }
    }

    /// Runs steps in order. A step that fails is reported with its component and does not stop the others; an API server
    /// that does not answer does. A step that failed lately is not tried, and counts as if it had failed again.
    pub async fn run(&mut self, steps: &[Step], live: &Live, now: Timestamp) -> Done {
        let mut done = Done::default();
        self.fights.settle(now);
        self.retries.settle(steps);
        for step in steps {
            let Err(failure) = self.attempt(step, live, now, &mut done).await else {
                continue;
            };
            done.lacks(step, failure.trouble);
            if failure.ends_plan {
                break;
            }
        }
        self.mark_unseen(&mut done);
        done
    }

    /// Runs one step, unless it failed lately: then it is what came of it then.
    async fn attempt(
        &mut self,
        step: &Step,
        live: &Live,
        now: Timestamp,
        done: &mut Done,
    ) -> Result<(), Failure> {
        if let Some(failure) = self.retries.holds(step, now) {
            return Err(failure.clone());
        }
        let Err(fault) = self.step(step, live, now, done).await else {
            self.retries.succeeded(step);
            return Ok(());
        };
        let failure = failed(&fault, step, done);
        let jitter = rand::random();
        self.retries.failed(step, failure.clone(), now, jitter);
        Err(failure)
    }

    async fn step(
        &mut self,
        step: &Step,
        live: &Live,
        now: Timestamp,
        done: &mut Done,
    ) -> Result<(), Fault> {
        match step {
            Step::EnsureSecret {
                component, spec, ..
            } => self.secret(*component, spec, done).await,
            Step::Apply {
                component,
                object,
                reason,
            } => {
                let write = Write {
                    id: *component,
                    object,
                    reason: *reason,
                    before: live.get(&object.key),
                    now,
                };
                self.apply(&write, done).await
            }
            Step::Delete {
                component,
                key,
                uid,
                ..
            } => self.delete(component, key, uid, now, done).await,
            Step::Forget { key, reason } => {
                tracing::info!(object = %key, %reason, "left the inventory");
                self.inventory.entries.remove(key);
                Ok(())
            }
            Step::Release => {
                done.release = true;
                Ok(())
            }
        }
    }

    fn mark_unseen(&self, done: &mut Done) {
        let entries = &self.inventory.entries;
        let components = self
            .written
            .unseen()
            .filter_map(|key| entries.get(key)?.component.parse().ok());
        for id in components {
            done.outcomes.entry(id).or_default().unseen = true;
        }
    }

    /// Stores the inventory if it changed.
    pub async fn store(&mut self) -> Result<(), Fault> {
        if self.inventory == self.stored {
            return Ok(());
        }
        inventory::save(&self.client, &self.inventory).await?;
        self.stored = self.inventory.clone();
        Ok(())
    }

    /// Removes the inventory at the end of an uninstall.
    pub async fn forget_all(&mut self) -> Result<(), Fault> {
        inventory::remove(&self.client).await?;
        self.inventory = Inventory::default();
        self.stored = Inventory::default();
        Ok(())
    }

    async fn secret(
        &mut self,
        id: ComponentId,
        spec: &gloonet_catalog::SecretSpec,
        done: &mut Done,
    ) -> Result<(), Fault> {
        let (uid, written) = secrets::ensure(&self.client, id, spec).await?;
        let key = ObjectKey::secret(&spec.namespace, &spec.name);
        if !uid.is_empty() {
            self.record(id.as_str(), key.clone(), uid, secret_mark(), secret_mark());
        }
        if written {
            tracing::info!(component = %id, object = %key, "made");
            done.outcomes.entry(id).or_default().changed += 1;
        }
        done.results.push((
            id.to_string(),
            if written { "changed" } else { "unchanged" },
        ));
        Ok(())
    }

    async fn apply(&mut self, write: &Write<'_>, done: &mut Done) -> Result<(), Fault> {
        let Write {
            id,
            object,
            before,
            now,
            ..
        } = *write;
        if let Verdict::BackOff { until } = self.fights.verdict(&object.key, now) {
            tracing::debug!(object = %object.key, %until, "left alone after a quarrel");
            return Ok(());
        }
        let ours = before.is_some() || self.inventory.entries.contains_key(&object.key);
        let applied = apply::apply(&self.client, &id.field_manager(), object, ours).await?;
        let changed = before
            .is_none_or(|before| before.uid != applied.uid || before.fingerprint != applied.live);
        if changed {
            self.changed(write, &applied, done);
        }
        let result = match (before, changed) {
            (None, _) => "created",
            (Some(_), true) => "changed",
            (Some(_), false) => "unchanged",
        };
        done.results.push((id.to_string(), result));
        if before.is_none_or(|before| before.version < applied.version) {
            self.written.wrote(
                &object.key,
                &applied.uid,
                &applied.live,
                applied.version,
                now,
            );
        }
        self.record(
            id.as_str(),
            object.key.clone(),
            applied.uid,
            object.fingerprint.clone(),
            applied.live,
        );
        Ok(())
    }

    fn changed(&mut self, write: &Write<'_>, applied: &Applied, done: &mut Done) {
        let Write {
            id,
            object,
            reason,
            now,
            ..
        } = *write;
        tracing::info!(component = %id, object = %object.key, %reason, "applied");
        done.outcomes.entry(id).or_default().changed += 1;
        if matches!(reason, Reason::Drift | Reason::Deleted) {
            let opponent = applied.taken_from.clone().unwrap_or_default();
            let who = if opponent.is_empty() {
                String::new()
            } else {
                format!(" ({opponent})")
            };
            done.corrections
                .push(format!("{} {reason}{who}; restored", object.key));
            let opponent = if opponent.is_empty() {
                format!("it {reason}")
            } else {
                opponent
            };
            self.fights.corrected(&object.key, &opponent, now);
        }
    }

    async fn delete(
        &mut self,
        component: &str,
        key: &ObjectKey,
        uid: &str,
        now: Timestamp,
        done: &mut Done,
    ) -> Result<(), Fault> {
        self.written.deleted(key, uid, now);
        if delete::delete(&self.client, key, uid).await? {
            tracing::info!(component, object = %key, "deleted");
            done.pruned.push(key.clone());
            done.results.push((component.to_owned(), "deleted"));
            if let Ok(id) = component.parse() {
                done.outcomes.entry(id).or_default().changed += 1;
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        component: &str,
        key: ObjectKey,
        uid: String,
        desired: Fingerprint,
        live: Fingerprint,
    ) {
        // An older release may have named the same object by another API version.
        self.inventory
            .entries
            .retain(|other, _| *other == key || !other.same_object(&key));
        self.inventory.entries.insert(
            key,
            Entry {
                component: component.to_owned(),
                uid,
                desired,
                live,
            },
        );
    }
}

//! One of several replicas works: leader election on a Lease (coordination.k8s.io/v1, as client-go does it).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::fault::{is_conflict, is_not_found};

/// A holder that has not renewed for this long is dead.
const DURATION: SignedDuration = SignedDuration::from_secs(15);
/// Time between two renewals.
const RENEW: Duration = Duration::from_secs(5);
/// Time to the next one after one that failed: a server that had no time for one request may have for the next.
const AGAIN: Duration = Duration::from_millis(500);
/// Time one try may take, with all its requests.
const ANSWER: Duration = Duration::from_secs(3);
/// A holder that could not renew for this long stops working; shorter than [`DURATION`], so that two never work at once. Both
/// count from before the request that renewed: others count from when the server took it in, which is later.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Time between two looks of one who waits.
const RETRY: Duration = Duration::from_secs(2);

/// The right to work was lost, or cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ElectionError {
    #[error("Lease {namespace}/{name} could not be renewed for {} s; stopping so that another replica can work", GIVE_UP.as_secs())]
    Lost { namespace: String, name: String },
    #[error("Lease {namespace}/{name} was taken by {holder}")]
    Taken {
        namespace: String,
        name: String,
        holder: String,
    },
}

/// One candidate.
#[derive(Clone)]
pub struct Election {
    api: Api<Lease>,
    namespace: String,
    name: String,
    identity: String,
}

impl std::fmt::Debug for Election {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "Election({}/{} as {})",
            self.namespace, self.name, self.identity
        )
    }
}

enum Look {
    Mine,
    Theirs(String),
}

impl Election {
    /// `identity` must differ between replicas.
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
        }
    }

    /// Waits until this replica may work, and says since when. An API server that does not answer is waited for; `answered`
    /// is called whenever it did.
    pub async fn win(&self, answered: impl Fn()) -> Instant {
        let mut said = String::new();
        // The holder's clock is not ours: a lease counts as expired when it has not *changed* for its duration as we see it.
        let mut seen: Option<(Option<MicroTime>, Instant)> = None;
        loop {
            let asked = Instant::now();
            let look = timeout(ANSWER, self.try_take(&mut seen)).await;
            if matches!(look, Ok(Ok(_))) {
                answered();
            }
            match look {
                Ok(Ok(Look::Mine)) => return asked,
                Ok(Ok(Look::Theirs(holder))) if holder != said => {
                    tracing::info!(holder, "another replica works; standing by");
                    said = holder;
                }
                Ok(Ok(Look::Theirs(_))) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the lease cannot be read"),
                Err(_) => tracing::warn!("the lease cannot be read: no answer"),
            }
            sleep(RETRY).await;
        }
    }

    /// Renews for ever; returns only when the right to work, had since `last`, is lost.
    pub async fn keep(&self, mut last: Instant) -> ElectionError {
        let mut held = None;
        let mut pause = RENEW;
        loop {
            let end = last + GIVE_UP;
            sleep_until(end.min(Instant::now() + pause)).await;
            pause = AGAIN;
            let asked = Instant::now();
            let renewed = timeout_at(end.min(asked + ANSWER), self.renew_held(&mut held));
            match renewed.await {
                Ok(Ok(Look::Mine)) => (last, pause) = (asked, RENEW),
                Ok(Ok(Look::Theirs(holder))) => {
                    return ElectionError::Taken {
                        namespace: self.namespace.clone(),
                        name: self.name.clone(),
                        holder,
                    };
                }
                Ok(Err(error)) => tracing::warn!(%error, "the lease cannot be renewed"),
                Err(_) => tracing::warn!("the lease cannot be renewed: no answer"),
            }
            if last.elapsed() >= GIVE_UP {
                return ElectionError::Lost {
                    namespace: self.namespace.clone(),
                    name: self.name.clone(),
                };
            }
        }
    }

    /// Lets another replica begin at once. Best effort: without it the lease just runs out.
    pub async fn release(&self) {
        let Ok(mut lease) = self.api.get(&self.name).await else {
            return;
        };
        let Some(spec) = lease
            .spec
            .as_mut()
            .filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity))
        else {
            return;
        };
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        if let Err(error) = self
            .api
            .replace(&self.name, &PostParams::default(), &lease)
            .await
        {
            tracing::warn!(%error, "the lease was not released");
        }
    }

    async fn try_take(
        &self,
        seen: &mut Option<(Option<MicroTime>, Instant)>,
    ) -> Result<Look, kube::Error> {
        let now = MicroTime(Timestamp::now());
        let found = match self.api.get(&self.name).await {
            Ok(found) => found,
            Err(error) if is_not_found(&error) => return self.create(now).await,
            Err(error) => return Err(error),
        };
        let spec = found.spec.clone().unwrap_or_default();
        let holder = spec
            .holder_identity
            .clone()
            .filter(|holder| !holder.is_empty());
        let mine = holder.as_deref() == Some(&self.identity);
        if let Some(holder) = holder.filter(|_| !mine) {
            let since = match seen {
                Some((renewed, since)) if *renewed == spec.renew_time => *since,
                _ => Instant::now(),
            };
            *seen = Some((spec.renew_time.clone(), since));
            let duration = Duration::from_secs(
                spec.lease_duration_seconds
                    .and_then(|s| u64::try_from(s).ok())
                    .unwrap_or(15),
            );
            if since.elapsed() < duration {
                return Ok(Look::Theirs(holder));
            }
        }
        self.renew(found, spec, mine, now).await
    }

    /// One write instead of a read and a write, as long as nobody else touches the lease.
    async fn renew_held(&self, held: &mut Option<Lease>) -> Result<Look, kube::Error> {
        let mut lease = match held.take() {
            Some(lease) => lease,
            None => self.api.get(&self.name).await?,
        };
        let holder = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.holder_identity.clone())
            .unwrap_or_default();
        if holder != self.identity {
            return Ok(Look::Theirs(holder));
        }
        if let Some(spec) = lease.spec.as_mut() {
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        *held = Some(
            self.api
                .replace(&self.name, &PostParams::default(), &lease)
                .await?,
        );
        Ok(Look::Mine)
    }

    async fn renew(
        &self,
        mut lease: Lease,
        spec: LeaseSpec,
        mine: bool,
        now: MicroTime,
    ) -> Result<Look, kube::Error> {
        let transitions = spec.lease_transitions.unwrap_or_default() + i32::from(!mine);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: if mine {
                spec.acquire_time.clone()
            } else {
                Some(now.clone())
            },
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..spec
        });
        match self
            .api
            .replace(&self.name, &PostParams::default(), &lease)
            .await
        {
            Ok(_) => Ok(Look::Mine),
            Err(error) if is_conflict(&error) && !mine => {
                Ok(Look::Theirs("another candidate".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    async fn create(&self, now: MicroTime) -> Result<Look, kube::Error> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        };
        match self.api.create(&PostParams::default(), &lease).await {
            Ok(_) => Ok(Look::Mine),
            Err(error) if is_conflict(&error) => Ok(Look::Theirs("another candidate".to_owned())),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;

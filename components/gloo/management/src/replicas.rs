//! Which replicas of the server live: one Lease each.

use std::collections::BTreeSet;

use gloo_api::names;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};

/// A replica that renewed later than this lives.
const LIVES: SignedDuration = SignedDuration::from_secs(30);
/// Leases of replicas that are gone are removed after this.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(1);
const LABEL: (&str, &str) = ("app", names::MANAGEMENT_SERVER);

/// The Leases.
#[derive(Clone, Debug)]
pub struct Replicas {
    api: Api<Lease>,
    me: String,
}

impl Replicas {
    pub fn new(client: Client, me: String) -> Self {
        let api = Api::namespaced(client, names::NAMESPACE);
        Self { api, me }
    }

    /// Says that this replica lives, and who else does.
    pub async fn renew(&self, now: Timestamp) -> Result<BTreeSet<String>, kube::Error> {
        self.say(now).await?;
        let selector = format!("{}={}", LABEL.0, LABEL.1);
        let leases = self
            .api
            .list(&ListParams::default().labels(&selector))
            .await?;
        let mut alive = BTreeSet::new();
        for lease in leases {
            let age = age(&lease, now);
            if age < LIVES {
                alive.insert(lease.name_any());
            } else if age > FORGOTTEN {
                let parameters = DeleteParams::default();
                self.api.delete(&lease.name_any(), &parameters).await?;
            }
        }
        Ok(alive)
    }

    async fn say(&self, now: Timestamp) -> Result<(), kube::Error> {
        let parameters = PostParams::default();
        let spec = Some(LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(LIVES.as_secs()).ok(),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        });
        if let Some(mut lease) = self.api.get_opt(&self.me).await? {
            lease.spec = spec;
            self.api.replace(&self.me, &parameters, &lease).await?;
            return Ok(());
        }
        let metadata = ObjectMeta {
            name: Some(self.me.clone()),
            labels: Some([(LABEL.0.to_owned(), LABEL.1.to_owned())].into()),
            ..ObjectMeta::default()
        };
        let lease = Lease { metadata, spec };
        self.api.create(&parameters, &lease).await?;
        Ok(())
    }
}

fn age(lease: &Lease, now: Timestamp) -> SignedDuration {
    let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.clone());
    renewed.map_or(SignedDuration::MAX, |MicroTime(at)| now.duration_since(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_nobody_renewed_is_old() {
        let now = Timestamp::UNIX_EPOCH;
        assert!(age(&Lease::default(), now) > FORGOTTEN);
        let spec = Some(LeaseSpec {
            renew_time: Some(MicroTime(now - SignedDuration::from_secs(10))),
            ..LeaseSpec::default()
        });
        let lease = Lease {
            spec,
            ..Lease::default()
        };
        assert!(age(&lease, now) < LIVES);
    }
}

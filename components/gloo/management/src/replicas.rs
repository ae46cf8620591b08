//! Which replicas of the server live: one Lease each.

use std::collections::BTreeSet;

use gloo_api::names;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, ObjectMeta, PostParams},
};

/// A replica that renewed later than this lives.
const LIVES: SignedDuration = SignedDuration::from_secs(30);
const LABEL: (&str, &str) = ("app", names::MANAGEMENT_SERVER);

/// The Leases.
#[derive(Clone, Debug)]
pub struct Replicas {
    api: Api<Lease>,
    me: String,
    /// The pod this is, whose end is the Lease's. Absent outside of a cluster.
    owner: Option<OwnerReference>,
}

impl Replicas {
    pub fn new(client: Client, me: String, pod_uid: Option<String>) -> Self {
        let api = Api::namespaced(client, names::NAMESPACE);
        let owner = pod_uid.map(|uid| OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: me.clone(),
            uid,
            ..OwnerReference::default()
        });
        Self { api, me, owner }
    }

    /// Says that this replica lives, and who else does.
    pub async fn renew(&self, now: Timestamp) -> Result<BTreeSet<String>, kube::Error> {
        self.say(now).await?;
        let selector = format!("{}={}", LABEL.0, LABEL.1);
        let leases = self
            .api
            .list(&ListParams::default().labels(&selector))
            .await?;
        let alive = leases.iter().filter(|lease| age(lease, now) < LIVES);
        Ok(alive.map(ResourceExt::name_any).collect())
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
            owner_references: self.owner.clone().map(|owner| vec![owner]),
            ..ObjectMeta::default()
        };
        let lease = Lease { metadata, spec };
        self.api.create(&parameters, &lease).await?;
        Ok(())
    }
}

/// How many streams a replica lets go of now, so that others get some: a part of what it has above its share. `own` of `total`
/// clusters are connected here, and so many replicas live.
pub fn surplus(own: usize, total: usize, replicas: usize) -> usize {
    let share = total.div_ceil(replicas.max(1));
    // One more than the share is no reason to move anybody: who moves may come back.
    match own.saturating_sub(share + 1) {
        0 => 0,
        above => above.div_ceil(4),
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
    fn a_replica_with_more_than_its_share_lets_go_of_some_and_one_alone_of_none() {
        assert_eq!(surplus(100, 100, 1), 0);
        assert_eq!(surplus(100, 100, 2), 13);
        assert_eq!(surplus(51, 100, 2), 0);
        assert_eq!(surplus(2, 3, 2), 0);
        assert_eq!(surplus(3, 3, 2), 0);
        assert_eq!(surplus(4, 4, 2), 1);
        assert_eq!(surplus(0, 4, 0), 0);
    }

    #[test]
    fn a_lease_nobody_renewed_is_old() {
        let now = Timestamp::UNIX_EPOCH;
        assert!(age(&Lease::default(), now) > LIVES);
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

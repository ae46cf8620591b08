//! Leadership by a `coordination.k8s.io/v1` Lease (KEP-589): who may write. The decisions are pure.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::api::ObjectMeta;

pub mod keeper;

/// A Lease not renewed for this long is free. Upstream's value.
pub const DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew for this long stops writing, well before anybody else may begin.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Time between renewals, and between looks of a replica that waits.
pub const RENEW_EVERY: Duration = Duration::from_secs(4);
/// Time between attempts when the API server does not answer.
pub const RETRY_EVERY: Duration = Duration::from_secs(2);

/// What to do about the Lease.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// There is none.
    Create,
    /// It is free, or its holder has let it run out.
    Take,
    /// It is ours.
    Renew,
    /// It is another's.
    Wait,
}

/// The Lease as it was last seen, and since when it looks so by *our* clock: clocks of others are not trusted.
#[derive(Debug, Default)]
pub struct Observed {
    seen: Option<(Option<String>, Instant)>,
}

impl Observed {
    /// Decides for a replica called `me`.
    pub fn step(&mut self, me: &str, lease: Option<&Lease>, now: Instant) -> Step {
        let Some(lease) = lease else {
            return Step::Create;
        };
        let version = lease.metadata.resource_version.clone();
        if self.seen.as_ref().is_none_or(|(last, _)| *last != version) {
            self.seen = Some((version, now));
        }
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        let holder = lease
            .spec
            .as_ref()
            .and_then(|s| s.holder_identity.as_deref())
            .unwrap_or_default();
        match holder {
            "" => Step::Take,
            holder if holder == me => Step::Renew,
            _ if now.duration_since(since) >= DURATION => Step::Take,
            _ => Step::Wait,
        }
    }
}

/// The Lease as `me` writes it; `old` is the one it replaces.
pub fn written(name: &str, me: &str, old: Option<&Lease>, now: Timestamp) -> Lease {
    let spec = old.and_then(|l| l.spec.clone()).unwrap_or_default();
    let mine = spec.holder_identity.as_deref() == Some(me);
    let transitions = spec.lease_transitions.unwrap_or(0) + i32::from(old.is_some() && !mine);
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            resource_version: old.and_then(|l| l.metadata.resource_version.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(me.to_owned()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: if mine {
                spec.acquire_time
            } else {
                Some(MicroTime(now))
            },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        let mut lease = written("l", holder, None, Timestamp::UNIX_EPOCH);
        lease.metadata.resource_version = Some(version.to_owned());
        lease
    }

    #[test]
    fn a_missing_lease_is_made_a_free_one_taken_and_ones_own_renewed() {
        let now = Instant::now();
        let step = |lease: Option<&Lease>| Observed::default().step("me", lease, now);
        assert_eq!(step(None), Step::Create);
        assert_eq!(step(Some(&lease("", "1"))), Step::Take);
        assert_eq!(step(Some(&lease("me", "1"))), Step::Renew);
        assert_eq!(step(Some(&lease("other", "1"))), Step::Wait);
    }

    #[test]
    fn anothers_lease_is_taken_when_it_did_not_change_for_its_duration_by_our_clock() {
        let (mut observed, start) = (Observed::default(), Instant::now());
        let almost = start + DURATION / 100 * 99;
        assert_eq!(
            observed.step("me", Some(&lease("other", "1")), start),
            Step::Wait
        );
        assert_eq!(
            observed.step("me", Some(&lease("other", "1")), almost),
            Step::Wait
        );
        assert_eq!(
            observed.step("me", Some(&lease("other", "1")), start + DURATION),
            Step::Take
        );
    }

    #[test]
    fn a_renewal_of_the_other_starts_the_wait_anew() {
        let (mut observed, start) = (Observed::default(), Instant::now());
        observed.step("me", Some(&lease("other", "1")), start);
        assert_eq!(
            observed.step("me", Some(&lease("other", "2")), start + DURATION),
            Step::Wait
        );
    }

    #[test]
    fn a_leader_stops_before_another_may_begin() {
        assert!(RENEW_DEADLINE + RENEW_EVERY < DURATION);
    }

    #[test]
    fn a_takeover_counts_a_transition_and_a_renewal_does_not() {
        let transitions = |l: &Lease| l.spec.as_ref().unwrap().lease_transitions.unwrap();
        let mine = written("l", "me", Some(&lease("other", "7")), Timestamp::UNIX_EPOCH);
        assert_eq!(
            (
                transitions(&mine),
                mine.metadata.resource_version.as_deref()
            ),
            (1, Some("7"))
        );
        assert_eq!(
            transitions(&written("l", "me", Some(&mine), Timestamp::UNIX_EPOCH)),
            1
        );
    }
}

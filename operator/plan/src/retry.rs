//! Spaces out writes that fail, each object by itself, so that what is refused is not sent again with every look.

use std::{collections::BTreeMap, time::Duration};

use gloonet_catalog::SecretSpec;
use jiff::{SignedDuration, Timestamp};

use crate::{Fingerprint, ObjectKey, Step, progress::Trouble};

const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Pause after a failure that followed `before` others: doubles with each, up to `longest`, and is up to a fifth shorter or longer by
/// `jitter`, which is from 0 to 1.
pub fn pause(before: u32, longest: Duration, jitter: f64) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(1 << before.min(6)).min(longest);
    pause.mul_f64(0.8 + 0.4 * jitter)
}

/// What came of a write that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub trouble: Trouble,
    /// The API server would not have taken the steps after it either.
    pub ends_plan: bool,
}

/// What was to be written. Another content is another matter, and is tried at once.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Secret(SecretSpec),
    Object(Fingerprint),
    /// The object of this UID is to go.
    Nothing(String),
}

#[derive(Clone, Debug)]
struct Wait {
    content: Content,
    failure: Failure,
    times: u32,
    until: Timestamp,
}

/// Writes that failed and are to be tried again, per object. Lives in memory: a restart tries at once.
#[derive(Clone, Debug, Default)]
pub struct Retries {
    waits: BTreeMap<ObjectKey, Wait>,
}

impl Retries {
    /// What came of this step the last time, while it is not to be tried again.
    pub fn holds(&self, step: &Step, now: Timestamp) -> Option<&Failure> {
        let (key, content) = write(step)?;
        let wait = self.waits.get(&key)?;
        (wait.content == content && now < wait.until).then_some(&wait.failure)
    }

    /// The step failed. `jitter` is from 0 to 1.
    pub fn failed(&mut self, step: &Step, failure: Failure, now: Timestamp, jitter: f64) {
        let Some((key, content)) = write(step) else {
            return;
        };
        let same = self.waits.get(&key).filter(|last| last.content == content);
        let times = same.map_or(0, |last| last.times);
        let pause = pause(times, LONGEST_PAUSE, jitter);
        // The time of a look is in whole seconds: one that comes in time must not find a rest of one.
        let whole = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        let until = now + SignedDuration::from_secs(i64::try_from(whole).unwrap_or(i64::MAX));
        let wait = Wait {
            content,
            failure,
            times: times + 1,
            until,
        };
        self.waits.insert(key, wait);
    }

    /// The step went well.
    pub fn succeeded(&mut self, step: &Step) {
        if let Some((key, _)) = write(step) {
            self.waits.remove(&key);
        }
    }

    /// Forgets what is not to be written any more.
    pub fn settle(&mut self, steps: &[Step]) {
        let planned: Vec<_> = steps.iter().filter_map(write).map(|(key, _)| key).collect();
        self.waits.retain(|key, _| planned.contains(key));
    }

    /// The next moment something may be tried again.
    pub fn next_try(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.waits.values().map(|wait| wait.until);
        ends.filter(|at| *at > now).min()
    }
}

fn write(step: &Step) -> Option<(ObjectKey, Content)> {
    let content = match step {
        Step::EnsureSecret { spec, .. } => Content::Secret(spec.clone()),
        Step::Apply { object, .. } => Content::Object(object.fingerprint.clone()),
        Step::Delete { uid, .. } => Content::Nothing(uid.clone()),
        Step::Forget { .. } | Step::Release => return None,
    };
    Some((step.key()?, content))
}

#[cfg(test)]
mod tests {
    use gloonet_catalog::ComponentId;

    use super::*;
    use crate::{Reason, tests::world::object};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn apply(text: &str) -> Step {
        Step::Apply {
            component: ComponentId::Redis,
            object: Box::new(object(text)),
            reason: Reason::New,
        }
    }

    fn refused() -> Failure {
        Failure {
            trouble: Trouble::Lasting("refused".to_owned()),
            ends_plan: false,
        }
    }

    /// Pauses after failures in a row, in seconds.
    fn pauses(jitter: f64) -> Vec<i64> {
        let (mut retries, step) = (Retries::default(), apply("ConfigMap/redis=1"));
        let mut now = at(0);
        let pauses = (0..7).map(|_| {
            retries.failed(&step, refused(), now, jitter);
            let until = retries.next_try(now).unwrap();
            assert_eq!(retries.holds(&step, now), Some(&refused()));
            assert_eq!(retries.holds(&step, until), None);
            let pause = until.duration_since(now).as_secs();
            now = until;
            pause
        });
        pauses.collect()
    }

    #[test]
    fn failures_in_a_row_wait_longer_up_to_half_a_minute_and_not_all_alike() {
        assert_eq!(pauses(0.5), [2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(pauses(0.0), [2, 4, 7, 13, 24, 24, 24]);
        assert_eq!(pauses(1.0), [3, 5, 10, 20, 36, 36, 36]);
    }

    #[test]
    fn other_content_is_tried_at_once_and_begins_anew() {
        let mut retries = Retries::default();
        let (old, new) = (apply("ConfigMap/redis=1"), apply("ConfigMap/redis=2"));
        for second in 0..5 {
            retries.failed(&old, refused(), at(second), 0.5);
        }
        assert_eq!(retries.holds(&new, at(5)), None);
        retries.failed(&new, refused(), at(5), 0.5);
        assert_eq!(retries.next_try(at(5)), Some(at(7)));
    }

    #[test]
    fn one_object_waits_for_no_other_and_success_ends_its_story() {
        let mut retries = Retries::default();
        let (one, other) = (apply("ConfigMap/redis=1"), apply("ConfigMap/gateway=1"));
        retries.failed(&one, refused(), at(0), 0.5);
        retries.failed(&one, refused(), at(2), 0.5);
        assert_eq!(retries.holds(&other, at(3)), None);
        retries.succeeded(&one);
        retries.failed(&one, refused(), at(6), 0.5);
        assert_eq!(retries.next_try(at(6)), Some(at(8)));
    }

    #[test]
    fn what_is_planned_no_more_is_forgotten() {
        let mut retries = Retries::default();
        let step = apply("ConfigMap/redis=1");
        retries.failed(&step, refused(), at(0), 0.5);
        retries.settle(std::slice::from_ref(&step));
        assert!(retries.holds(&step, at(1)).is_some());
        retries.settle(&[]);
        assert_eq!(retries.next_try(at(1)), None);
    }
}

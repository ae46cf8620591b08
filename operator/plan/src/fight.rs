//! Notices that somebody else keeps changing back what the operator writes, and stops the quarrel.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::ObjectKey;

/// Corrections of one object within [`WINDOW`] that count as a quarrel.
const LIMIT: usize = 5;
/// How far back corrections count.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// Pause after the limit; doubles with each further correction up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// What to do about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Write it.
    Write,
    /// Leave it alone until then.
    BackOff {
        /// When to try again.
        until: Timestamp,
    },
}

#[derive(Clone, Debug, Default)]
struct Quarrel {
    corrections: Vec<Timestamp>,
    opponent: String,
    pause: Option<(Timestamp, SignedDuration)>,
}

/// Corrections of the last minutes, per object. Lives in memory: a restart starts counting anew.
#[derive(Clone, Debug, Default)]
pub struct Fights {
    quarrels: BTreeMap<ObjectKey, Quarrel>,
}

impl Fights {
    /// An apply really changed the object although nothing new was wanted. `opponent` says who had changed what.
    pub fn corrected(&mut self, key: &ObjectKey, opponent: &str, now: Timestamp) {
        let quarrel = self.quarrels.entry(key.clone()).or_default();
        quarrel
            .corrections
            .retain(|at| now.duration_since(*at) < WINDOW);
        quarrel.corrections.push(now);
        if !opponent.is_empty() {
            opponent.clone_into(&mut quarrel.opponent);
        }
        if quarrel.corrections.len() >= LIMIT {
            let pause = quarrel
                .pause
                .map_or(FIRST_PAUSE, |(_, last)| (last * 2).min(LONGEST_PAUSE));
            quarrel.pause = Some((now + pause, pause));
        }
    }

    /// Whether the object may be written now.
    pub fn verdict(&self, key: &ObjectKey, now: Timestamp) -> Verdict {
        match self.quarrels.get(key).and_then(|quarrel| quarrel.pause) {
            Some((until, _)) if now < until => Verdict::BackOff { until },
            _ => Verdict::Write,
        }
    }

    /// Drops quarrels without a correction in the last [`WINDOW`].
    pub fn settle(&mut self, now: Timestamp) {
        self.quarrels.retain(|_, quarrel| {
            let recent = quarrel
                .corrections
                .iter()
                .any(|at| now.duration_since(*at) < WINDOW);
            recent || quarrel.pause.is_some_and(|(until, _)| now < until)
        });
    }

    /// A sentence per object that somebody else keeps changing.
    pub fn sentences(&self) -> Vec<String> {
        let going_on = self
            .quarrels
            .iter()
            .filter(|(_, quarrel)| quarrel.pause.is_some());
        going_on
            .map(|(key, quarrel)| {
                let who = if quarrel.opponent.is_empty() { "somebody" } else { &quarrel.opponent };
                format!(
                    "{key} was changed back {} times: {who}; stop it from writing what the operator owns",
                    quarrel.corrections.len()
                )
            })
            .collect()
    }

    /// The next moment an object may be written again.
    pub fn next_try(&self, now: Timestamp) -> Option<Timestamp> {
        self.quarrels
            .values()
            .filter_map(|quarrel| quarrel.pause)
            .map(|(until, _)| until)
            .filter(|at| *at > now)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn four_corrections_are_drift_and_the_fifth_is_a_fight() {
        let key = ObjectKey::secret("gloo-mesh", "redis");
        let mut fights = Fights::default();
        for second in 0..4 {
            fights.corrected(&key, "helm changed .data", at(second));
            assert_eq!(fights.verdict(&key, at(second)), Verdict::Write);
        }
        assert!(fights.sentences().is_empty());
        fights.corrected(&key, "helm changed .data", at(4));
        assert_eq!(
            fights.verdict(&key, at(5)),
            Verdict::BackOff { until: at(34) }
        );
        assert_eq!(fights.verdict(&key, at(34)), Verdict::Write);
        assert!(
            fights.sentences()[0].contains("helm changed .data"),
            "{:?}",
            fights.sentences()
        );
    }

    #[test]
    fn each_further_correction_doubles_the_pause_up_to_ten_minutes() {
        let key = ObjectKey::secret("gloo-mesh", "redis");
        let mut fights = Fights::default();
        let mut now = at(0);
        for _ in 0..5 {
            fights.corrected(&key, "", now);
        }
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let Verdict::BackOff { until } = fights.verdict(&key, now) else {
                break;
            };
            pauses.push(until.duration_since(now).as_secs());
            now = until;
            for _ in 0..5 {
                fights.corrected(&key, "", now);
            }
        }
        assert!(pauses.iter().all(|pause| *pause <= 600), "{pauses:?}");
        assert!(
            pauses.windows(2).all(|pair| pair[0] <= pair[1]),
            "{pauses:?}"
        );
    }

    #[test]
    fn corrections_far_apart_are_no_fight_and_are_forgotten() {
        let key = ObjectKey::secret("gloo-mesh", "redis");
        let mut fights = Fights::default();
        for round in 0..20 {
            fights.corrected(&key, "", at(round * 300));
        }
        assert!(fights.sentences().is_empty());
        fights.settle(at(20 * 300 + 700));
        assert!(fights.quarrels.is_empty());
    }
}

//! Queries without a sample where there should be one.

use std::collections::BTreeMap;

use gloo_insights::{Code, Evaluation, Verdict};
use jiff::{SignedDuration, Timestamp};

/// A sample is some scrapes under way: agent, collector, gateway, Prometheus. What started just now is no fault yet.
const PATIENCE: SignedDuration = SignedDuration::from_mins(2);

/// Since when each rule has waited for a sample, by cluster.
#[derive(Debug, Default)]
pub(crate) struct Silences(BTreeMap<(String, Code), Timestamp>);

impl Silences {
    /// What has waited for too long, in words.
    pub(crate) fn look(
        &mut self,
        judged: &[(String, Vec<Evaluation>)],
        now: Timestamp,
    ) -> Vec<String> {
        let mut before = std::mem::take(&mut self.0);
        let mut all = Vec::new();
        for (cluster, evaluations) in judged {
            for one in evaluations {
                let Verdict::Unknown(unknown) = &one.verdict else {
                    continue;
                };
                if !unknown.silent {
                    continue;
                }
                let place = (cluster.clone(), one.rule.code);
                let since = before.remove(&place).unwrap_or(now);
                if now.duration_since(since) >= PATIENCE {
                    let (code, why) = (one.rule.code, &unknown.why);
                    all.push(format!("insight {code} of cluster {cluster}: {why}"));
                }
                self.0.insert(place, since);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use gloo_insights::{Unknown, catalog};

    use super::*;

    fn judged(verdict: Verdict) -> [(String, Vec<Evaluation>); 1] {
        let one = Evaluation {
            rule: catalog()[0],
            verdict,
            omitted: 0,
        };
        [("west".to_owned(), vec![one])]
    }

    fn unknown(silent: bool) -> [(String, Vec<Evaluation>); 1] {
        judged(Verdict::Unknown(Unknown {
            silent,
            ..Unknown::new("no sample")
        }))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_sample_that_is_missing_for_two_minutes_is_told_at_every_run_and_before_that_at_none() {
        let mut silences = Silences::default();
        for seconds in [0, 15, 119] {
            let told = silences.look(&unknown(true), at(seconds));
            assert_eq!(told, Vec::<String>::new(), "{seconds}");
        }
        for seconds in [120, 135] {
            let told = silences.look(&unknown(true), at(seconds));
            let words = format!("insight {} of cluster west: no sample", catalog()[0].code);
            assert_eq!(told, [words], "{seconds}");
        }
    }

    #[test]
    fn one_sample_in_between_begins_the_wait_anew() {
        let mut silences = Silences::default();
        assert!(silences.look(&unknown(true), at(0)).is_empty());
        let found = judged(Verdict::Found(Vec::new()));
        assert!(silences.look(&found, at(60)).is_empty());
        assert!(silences.look(&unknown(true), at(120)).is_empty());
        assert_eq!(silences.look(&unknown(true), at(240)).len(), 1);
    }

    #[test]
    fn unknown_for_another_reason_is_no_silence() {
        let mut silences = Silences::default();
        for seconds in [0, 240] {
            assert!(silences.look(&unknown(false), at(seconds)).is_empty());
        }
    }
}

//! What the administrator wants to see of insights.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{Code, Severity, catalog};

/// All InsightsConfigs together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Codes that are not looked for.
    pub disabled: BTreeSet<Code>,
    pub severities: BTreeMap<Code, Severity>,
    pub suppressions: Vec<Suppression>,
}

/// One target of one code, not shown for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    pub code: Code,
    /// Any when absent.
    pub cluster: Option<String>,
    /// As [`crate::Target`] is printed; any when absent.
    pub target: Option<String>,
    pub reason: String,
    pub until: Timestamp,
}

impl Settings {
    /// Adds one InsightsConfig. What it says that cannot be followed is returned as sentences; the rest of it counts.
    pub fn add(&mut self, spec: &gloo_api::InsightsConfigSpec) -> Vec<String> {
        let mut wrong = Vec::new();
        let known = |text: &str, wrong: &mut Vec<String>| {
            let code = text.parse::<Code>().ok();
            let known = code.filter(|code| catalog().iter().any(|rule| rule.code == *code));
            if known.is_none() {
                wrong.push(format!("{text} is no code of this release"));
            }
            known
        };
        for text in &spec.disabled_insights {
            self.disabled.extend(known(text, &mut wrong));
        }
        for given in &spec.severity_overrides {
            let severity = given.severity.as_str().parse();
            if let (Some(code), Ok(severity)) = (known(&given.code, &mut wrong), severity) {
                self.severities.insert(code, severity);
            }
        }
        for given in &spec.suppressions {
            let Some(code) = known(&given.code, &mut wrong) else {
                continue;
            };
            match given.until.parse() {
                Ok(until) => self.suppressions.push(Suppression {
                    code,
                    cluster: given.cluster.clone(),
                    target: given.target.clone(),
                    reason: crate::text::clean(&given.reason),
                    until,
                }),
                Err(_) => wrong.push(format!(
                    "suppression of {code}: until {:?} is no time such as 2026-12-31T00:00:00Z",
                    given.until
                )),
            }
        }
        wrong
    }

    /// The suppression that is in force for a target.
    pub fn suppression(
        &self,
        code: Code,
        cluster: &str,
        target: &str,
        now: Timestamp,
    ) -> Option<&Suppression> {
        self.suppressions.iter().find(|one| {
            one.code == code
                && one.until > now
                && one.cluster.as_deref().is_none_or(|given| given == cluster)
                && one.target.as_deref().is_none_or(|given| given == target)
        })
    }
}

#[cfg(test)]
mod tests {
    use gloo_api::insights_config::{InsightSeverity, SeverityOverride, SuppressedInsight};

    use super::*;

    fn suppressed(code: &str, until: &str) -> SuppressedInsight {
        SuppressedInsight {
            code: code.to_owned(),
            cluster: Some("west".to_owned()),
            target: Some("Node/a".to_owned()),
            reason: "known, ticket 12".to_owned(),
            until: until.to_owned(),
        }
    }

    #[test]
    fn what_cannot_be_followed_is_said_and_the_rest_counts() {
        let mut settings = Settings::default();
        let spec = gloo_api::InsightsConfigSpec {
            disabled_insights: vec!["HLT0011".to_owned(), "CFG0999".to_owned()],
            severity_overrides: vec![SeverityOverride {
                code: "HLT0101".to_owned(),
                severity: InsightSeverity::Info,
            }],
            suppressions: vec![
                suppressed("HLT0101", "2026-12-31T00:00:00Z"),
                suppressed("HLT0101", "next week"),
            ],
        };
        let wrong = settings.add(&spec);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("CFG0999") && wrong[1].contains("next week"));
        assert_eq!(settings.disabled.len(), 1);
        let code = "HLT0101".parse().unwrap();
        assert_eq!(settings.severities[&code], Severity::Info);
        let at = |time: &str, cluster: &str, target: &str| {
            let now = time.parse().unwrap();
            settings.suppression(code, cluster, target, now).is_some()
        };
        assert!(at("2026-12-30T00:00:00Z", "west", "Node/a"));
        assert!(!at("2027-01-01T00:00:00Z", "west", "Node/a"));
        assert!(!at("2026-12-30T00:00:00Z", "east", "Node/a"));
        assert!(!at("2026-12-30T00:00:00Z", "west", "Node/b"));
    }
}

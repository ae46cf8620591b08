//! Every rule.

use crate::{Code, Rule, rules};

static CATALOG: [&Rule; 91] = [
    &rules::hlt0011::RULE,
    &rules::hlt0101::RULE,
    &rules::hlt0102::RULE,
    &rules::hlt0103::RULE,
    &rules::hlt0104::RULE,
    &rules::hlt0105::RULE,
    &rules::hlt0106::RULE,
    &rules::hlt0107::RULE,
    &rules::hlt0108::RULE,
    &rules::hlt0109::RULE,
    &rules::hlt0110::RULE,
    &rules::hlt0111::RULE,
    &rules::hlt0112::RULE,
    &rules::hlt0201::RULE,
    &rules::hlt0202::RULE,
    &rules::hlt0203::RULE,
    &rules::hlt0301::RULE,
    &rules::hlt0302::RULE,
    &rules::hlt0303::RULE,
    &rules::hlt0304::RULE,
    &rules::hlt0305::RULE,
    &rules::hlt0306::RULE,
    &rules::hlt0307::RULE,
    &rules::hlt0308::RULE,
    &rules::hlt0309::RULE,
    &rules::hlt0401::RULE,
    &rules::hlt0402::RULE,
    &rules::hlt0403::RULE,
    &rules::hlt0404::RULE,
    &rules::cfg0101::RULE,
    &rules::cfg0102::RULE,
    &rules::cfg0103::RULE,
    &rules::cfg0104::RULE,
    &rules::cfg0105::RULE,
    &rules::cfg0106::RULE,
    &rules::cfg0107::RULE,
    &rules::cfg0108::RULE,
    &rules::cfg0109::RULE,
    &rules::cfg0110::RULE,
    &rules::cfg0201::RULE,
    &rules::cfg0202::RULE,
    &rules::cfg0203::RULE,
    &rules::cfg0204::RULE,
    &rules::cfg0205::RULE,
    &rules::sec0101::RULE,
    &rules::sec0102::RULE,
    &rules::sec0103::RULE,
    &rules::sec0104::RULE,
    &rules::sec0105::RULE,
    &rules::sec0106::RULE,
    &rules::sec0107::RULE,
    &rules::sec0108::RULE,
    &rules::sec0109::RULE,
    &rules::sec0110::RULE,
    &rules::sec0111::RULE,
    &rules::sec0201::RULE,
    &rules::sec0202::RULE,
    &rules::sec0203::RULE,
    &rules::sec0204::RULE,
    &rules::sec0205::RULE,
    &rules::sec0206::RULE,
    &rules::sec0301::RULE,
    &rules::sec0302::RULE,
    &rules::sec0303::RULE,
    &rules::sec0304::RULE,
    &rules::sec0305::RULE,
    &rules::res0101::RULE,
    &rules::res0102::RULE,
    &rules::res0103::RULE,
    &rules::res0104::RULE,
    &rules::res0105::RULE,
    &rules::res0106::RULE,
    &rules::res0107::RULE,
    &rules::res0108::RULE,
    &rules::res0109::RULE,
    &rules::res0110::RULE,
    &rules::res0201::RULE,
    &rules::res0202::RULE,
    &rules::res0203::RULE,
    &rules::bp0101::RULE,
    &rules::bp0102::RULE,
    &rules::bp0103::RULE,
    &rules::bp0104::RULE,
    &rules::bp0105::RULE,
    &rules::bp0106::RULE,
    &rules::bp0107::RULE,
    &rules::bp0108::RULE,
    &rules::bp0109::RULE,
    &rules::bp0110::RULE,
    &rules::bp0111::RULE,
    &rules::bp0112::RULE,
];

/// Every rule, by group and number.
pub fn catalog() -> &'static [&'static Rule] {
    &CATALOG
}

/// The rule of that code.
pub fn find(code: Code) -> Option<&'static Rule> {
    CATALOG.iter().copied().find(|rule| rule.code == code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Evidence, queries};
    use gloo_record::Analyzer;

    #[test]
    fn codes_and_names_of_queries_are_unique() {
        let codes: BTreeSet<Code> = CATALOG.iter().map(|rule| rule.code).collect();
        assert_eq!(codes.len(), CATALOG.len());
        let texts: BTreeSet<&str> = queries().iter().map(|query| query.text).collect();
        assert_eq!(texts.len(), queries().len());
    }

    #[test]
    fn what_a_rule_asks_prometheus_is_about_whom_the_rule_is_about() {
        for rule in CATALOG {
            for evidence in rule.evidence {
                if let Evidence::Metrics(query) = evidence {
                    assert_eq!(query.source.scope(), rule.scope, "{}", rule.code);
                }
            }
        }
    }

    #[test]
    fn there_are_as_many_rules_as_promised_and_cilium_has_its_share() {
        let about_cilium = |rule: &&&Rule| {
            rule.evidence.iter().any(|evidence| match evidence {
                Evidence::Record(analyzer) => matches!(
                    analyzer,
                    Analyzer::CiliumAgents
                        | Analyzer::CiliumConfig
                        | Analyzer::CiliumOperator
                        | Analyzer::CniConfiguration
                        | Analyzer::Hubble
                        | Analyzer::NetworkPolicies
                ),
                Evidence::Metrics(query) => query.text.contains("cilium_"),
                Evidence::Snapshot => false,
            })
        };
        assert!(CATALOG.len() >= 60);
        assert!(CATALOG.iter().filter(about_cilium).count() >= 25);
    }

    #[test]
    fn every_analyzer_is_listened_to() {
        for analyzer in Analyzer::ALL {
            let heard = CATALOG.iter().any(|rule| {
                rule.code.to_string() != "HLT0404"
                    && rule.evidence.iter().any(
                        |evidence| matches!(evidence, Evidence::Record(one) if *one == analyzer),
                    )
            });
            assert!(heard, "{analyzer}");
        }
    }
}

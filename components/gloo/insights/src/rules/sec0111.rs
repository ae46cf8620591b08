//! SEC0111: traffic between nodes is not encrypted.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 111),
    severity: Severity::Info,
    title: "Traffic between nodes is not encrypted",
    why: "Whoever can listen between the nodes reads what pods send each other, unless they encrypt it themselves.",
    evidence: &[Evidence::Record(Analyzer::CiliumConfig)],
    scope: Scope::Cluster,
    steps: "\
1. Where the network between the nodes is not trusted, let workloads use TLS.
2. This release has no encryption of its own (docs/threat-model.md). Suppress this insight where the network is trusted.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let config = view.config()?;
    if config.data.is_none() {
        return Ok(Vec::new());
    }
    if config.is_true("enable-wireguard") || config.is_true("enable-ipsec") {
        return Ok(Vec::new());
    }
    let finding = Finding::new(Target::cluster(), "neither WireGuard nor IPsec is on");
    Ok(vec![finding.because(
        "enable-wireguard",
        config.get("enable-wireguard").unwrap_or("absent"),
    )])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_network_in_the_clear_is_told() {
        let with = |wireguard: &str| {
            Scene::healthy().config(|config| {
                let data = config.data.as_mut().unwrap();
                data.insert("enable-wireguard".to_owned(), wireguard.to_owned());
            })
        };
        assert_eq!(
            found(&RULE, &with("false")),
            ["Cluster: neither WireGuard nor IPsec is on"]
        );
        assert!(found(&RULE, &with("true")).is_empty());
    }
}

//! SEC0107: Hubble's port is open without TLS.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 107),
    severity: Severity::Error,
    title: "Hubble's port is open without TLS",
    why: "Whoever reaches a node reads who talks to whom.",
    evidence: &[Evidence::Record(Analyzer::Hubble)],
    scope: Scope::Cluster,
    steps: "\
1. Set hubble-disable-tls to false in cilium-config, and give the agents a certificate.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let hubble = view.hubble()?;
    let Some(address) = hubble.listen_address.as_ref().filter(|_| hubble.enabled) else {
        return Ok(Vec::new());
    };
    if !hubble.tls_disabled {
        return Ok(Vec::new());
    }
    let target = Target::new("ConfigMap", "kube-system", "cilium-config");
    let summary = format!("Hubble listens at {address} without TLS");
    Ok(vec![
        Finding::new(target, summary).because("hubble-listen-address", address),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_port_in_the_clear_is_told_and_a_socket_is_none() {
        let with = |address: Option<&str>| {
            Scene::healthy().hubble(|hubble| {
                hubble.tls_disabled = true;
                hubble.listen_address = address.map(str::to_owned);
            })
        };
        assert_eq!(
            found(&RULE, &with(Some(":4244"))),
            ["ConfigMap/kube-system/cilium-config: Hubble listens at :4244 without TLS"]
        );
        assert!(found(&RULE, &with(None)).is_empty());
    }
}

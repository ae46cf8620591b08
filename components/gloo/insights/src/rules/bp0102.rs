//! BP0102: Hubble is off.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Bp, 102),
    severity: Severity::Info,
    title: "Hubble is off",
    why: "Without flows nobody can say which packet was dropped and by which policy, and dry runs of policies have nothing to go by.",
    evidence: &[
        Evidence::Record(Analyzer::Hubble),
        Evidence::Record(Analyzer::CiliumConfig),
    ],
    scope: Scope::Cluster,
    steps: "\
1. spec.cilium.hubble.state: Enabled
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let config = view.config()?;
    if config.data.is_none() || view.hubble()?.enabled {
        return Ok(Vec::new());
    }
    let target = Target::new("ConfigMap", "kube-system", "cilium-config");
    let finding = Finding::new(target, "enable-hubble is not true");
    Ok(vec![finding.because(
        "enable-hubble",
        config.get("enable-hubble").unwrap_or("not there"),
    )])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn hubble_switched_off_is_told_where_there_is_a_cilium() {
        let scene = Scene::healthy().hubble(|hubble| hubble.enabled = false);
        assert_eq!(
            found(&RULE, &scene),
            ["ConfigMap/kube-system/cilium-config: enable-hubble is not true"]
        );
        let scene = scene.config(|config| config.data = None);
        assert!(found(&RULE, &scene).is_empty());
    }
}

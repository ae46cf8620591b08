//! HLT0011: Hubble's relay has no replica.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 11),
    severity: Severity::Warning,
    title: "Hubble's relay has no replica",
    why: "Without the relay nobody sees the flows of all nodes in one place. Each agent still has its own.",
    evidence: &[Evidence::Record(Analyzer::Hubble)],
    scope: Scope::Cluster,
    steps: "\
1. See what the Deployment wants and has: kubectl --namespace kube-system get deployment hubble-relay
2. If it was scaled down, scale it up: kubectl --namespace kube-system scale deployment hubble-relay --replicas=1
3. If its pods do not get ready, look at why: kubectl --namespace kube-system describe pods --selector k8s-app=hubble-relay
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let Some(relay) = &view.hubble()?.relay else {
        return Ok(Vec::new());
    };
    if relay.ready > 0 {
        return Ok(Vec::new());
    }
    let target = Target::new("Deployment", "kube-system", "hubble-relay");
    let summary = format!("hubble-relay has no ready pod and wants {}", relay.desired);
    let finding = Finding::new(target, summary).because("desired", relay.desired);
    Ok(vec![finding.because("ready", relay.ready)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};
    use gloo_record::Counts;

    #[test]
    fn a_relay_scaled_to_zero_is_told_and_one_that_was_never_there_is_not() {
        let scaled = |ready| {
            let relay = Counts {
                ready,
                ..Counts::default()
            };
            Scene::healthy().hubble(|hubble| hubble.relay = Some(relay))
        };
        assert_eq!(
            found(&RULE, &scaled(0)),
            ["Deployment/kube-system/hubble-relay: hubble-relay has no ready pod and wants 0"]
        );
        assert!(found(&RULE, &scaled(1)).is_empty());
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}

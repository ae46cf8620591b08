//! HLT0106: pods that Cilium does not manage.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 106),
    severity: Severity::Warning,
    title: "Pods that Cilium does not manage",
    why: "They have an address of the pod network and no endpoint: no policy applies to them, and nothing is known of their traffic. Most were there before Cilium was.",
    evidence: &[Evidence::Record(Analyzer::CiliumAgents)],
    scope: Scope::Cluster,
    steps: "\
1. Start them anew, so that they get their network from Cilium: kubectl delete pod (for each of: {{evidence.pods}})
2. If it happens to new pods, look for another CNI's configuration on the node: gloonet insights --code CFG0102
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let agents = view.agents()?;
    if agents.unmanaged == 0 {
        return Ok(Vec::new());
    }
    let (count, names) = (agents.unmanaged, agents.unmanaged_pods.join(", "));
    let summary = format!("{count} running pods have no CiliumEndpoint");
    let finding = Finding::new(Target::cluster(), summary);
    Ok(vec![finding.because("pods", names)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn unmanaged_pods_are_counted_and_named() {
        let scene = Scene::healthy().agents(|agents| {
            agents.unmanaged = 2;
            agents.unmanaged_pods = vec!["shop/a".to_owned(), "shop/b".to_owned()];
        });
        assert_eq!(
            found(&RULE, &scene),
            ["Cluster: 2 running pods have no CiliumEndpoint"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}

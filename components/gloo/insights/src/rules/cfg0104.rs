//! CFG0104: kube-proxy runs beside its replacement.

use gloo_record::Analyzer;

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 104),
    severity: Severity::Warning,
    title: "kube-proxy runs beside its replacement",
    why: "Both translate the addresses of services. Which of them a packet meets depends on the hook, and what one forgets the other remembers.",
    evidence: &[Evidence::Record(Analyzer::CiliumConfig)],
    scope: Scope::Cluster,
    steps: "\
1. Cilium does the work already; remove kube-proxy: kubectl --namespace kube-system delete daemonset kube-proxy
2. On each node, remove the rules it left: kube-proxy --cleanup
3. Or let kube-proxy do it: spec.cilium.kubeProxyReplacement: Disabled
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let config = view.config()?;
    let replaced = config.is_true("kube-proxy-replacement");
    if !replaced || config.kube_proxy_nodes == 0 {
        return Ok(Vec::new());
    }
    let target = Target::new("DaemonSet", "kube-system", "kube-proxy");
    let nodes = config.kube_proxy_nodes;
    let summary = format!("kube-proxy runs on {nodes} nodes and Cilium replaces it");
    Ok(vec![Finding::new(target, summary).because("nodes", nodes)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn kube_proxy_is_told_only_where_it_is_replaced() {
        let with = |replaced: &str| {
            Scene::healthy().config(|config| {
                config.kube_proxy_nodes = 3;
                let data = config.data.as_mut().unwrap();
                data.insert("kube-proxy-replacement".to_owned(), replaced.to_owned());
            })
        };
        assert_eq!(
            found(&RULE, &with("true")),
            ["DaemonSet/kube-system/kube-proxy: kube-proxy runs on 3 nodes and Cilium replaces it"]
        );
        assert!(found(&RULE, &with("false")).is_empty());
    }
}

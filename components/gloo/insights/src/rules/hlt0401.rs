//! HLT0401: proxy is not ready.

use gloo_record::{Analyzer, proxies::Proxy};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 401),
    severity: Severity::Warning,
    title: "Proxy is not ready",
    why: "Traffic that goes through it fails or goes elsewhere.",
    evidence: &[Evidence::Record(Analyzer::Proxies)],
    scope: Scope::Cluster,
    steps: "\
1. Why: kubectl --namespace {{target.namespace}} describe pod {{target.name}}
2. What Envoy says: kubectl --namespace {{target.namespace}} logs {{target.name}}
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let proxies = view.proxies()?.proxies.iter();
    let finding = |proxy: &Proxy| {
        let pod = &proxy.pod;
        let summary = format!("{} on {} is not ready", pod.name, pod.node);
        let finding = Finding::new(Target::new("Pod", &pod.namespace, &pod.name), summary);
        finding.because("image", &proxy.image)
    };
    Ok(proxies
        .filter(|proxy| !proxy.pod.ready)
        .map(finding)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_proxy_that_is_not_ready_is_told() {
        let scene = Scene::healthy().proxies(|proxies| proxies.proxies[0].pod.ready = false);
        assert_eq!(
            found(&RULE, &scene),
            ["Pod/shop/envoy-1: envoy-1 on node-a is not ready"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}

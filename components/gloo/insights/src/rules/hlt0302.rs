//! HLT0302: pod of the platform restarts again and again.

use gloo_record::{Analyzer, PodState};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

/// Restarts that an upgrade or a reboot do not explain.
const MANY: u32 = 3;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Hlt, 302),
    severity: Severity::Warning,
    title: "Pod of the platform restarts again and again",
    why: "A part that starts again and again does its work only between two starts.",
    evidence: &[Evidence::Record(Analyzer::GlooComponents)],
    scope: Scope::Cluster,
    steps: "\
1. Why it ended: kubectl --namespace {{target.namespace}} describe pod {{target.name}}
2. Its last words: kubectl --namespace {{target.namespace}} logs --previous {{target.name}}
3. If the reason is OOMKilled, raise the resources of that part in the GlooNetwork.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let restless = |pod: &&PodState| {
        let killed = matches!(
            pod.trouble.as_deref(),
            Some("OOMKilled" | "CrashLoopBackOff")
        );
        pod.restarts > MANY || killed
    };
    let pods = view.gloo()?.pods.iter().filter(restless);
    let finding = |pod: &PodState| {
        let trouble = pod.trouble.as_deref().unwrap_or("unknown");
        let summary = format!(
            "{} restarted {} times, last because of: {trouble}",
            pod.name, pod.restarts
        );
        let target = Target::new("Pod", &pod.namespace, &pod.name);
        Finding::new(target, summary).because("restarts", pod.restarts)
    };
    Ok(pods.map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_pod_that_crashes_is_told_and_one_that_started_once_more_is_not() {
        let of = |restarts, trouble: Option<&str>| {
            Scene::healthy().gloo(|gloo| {
                gloo.pods[0].restarts = restarts;
                gloo.pods[0].trouble = trouble.map(str::to_owned);
            })
        };
        assert!(found(&RULE, &of(1, Some("Error"))).is_empty());
        assert_eq!(
            found(&RULE, &of(1, Some("CrashLoopBackOff"))),
            [
                "Pod/gloo-mesh/gloo-mesh-agent-1: gloo-mesh-agent-1 restarted 1 times, last because of: CrashLoopBackOff"
            ]
        );
        assert_eq!(found(&RULE, &of(4, None)).len(), 1);
    }
}

//! CFG0110: kernel of a node lacks what Cilium needs.

use gloo_record::Analyzer;

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 110),
    severity: Severity::Error,
    title: "Kernel of a node lacks what Cilium needs",
    why: "Without type information of the kernel or a cgroup v2 hierarchy programs cannot be loaded or attached.",
    evidence: &[Evidence::Record(Analyzer::Nodes)],
    scope: Scope::Cluster,
    steps: "\
1. Boot {{target.name}} with a kernel that has it: CONFIG_DEBUG_INFO_BTF=y, and cgroup v2 mounted (systemd.unified_cgroup_hierarchy=1).
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut all = Vec::new();
    let nodes = view.nodes()?;
    for node in &nodes.nodes {
        let Some(seen) = &node.seen else { continue };
        let mut missing = Vec::new();
        if !seen.btf {
            missing.push("BTF");
        }
        if !seen.cgroup2 {
            missing.push("cgroup v2");
        }
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let summary = format!("kernel {} of {} lacks {missing}", node.kernel, node.name);
            let finding = Finding::new(Target::node(&node.name), summary);
            all.push(finding.because("missing", missing));
        }
    }
    all_of("kernels", &view.unseen(nodes), all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn what_is_missing_is_told() {
        let scene =
            Scene::healthy().nodes(|nodes| nodes.nodes[0].seen.as_mut().unwrap().btf = false);
        assert_eq!(
            found(&RULE, &scene),
            ["Node/node-a: kernel 6.12.1 of node-a lacks BTF"]
        );
        assert!(found(&RULE, &Scene::healthy()).is_empty());
    }
}

//! CFG0109: kernel setting of a node stands in the way.

use gloo_record::Analyzer;

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

/// Setting below `net`, the values that are right, and the one to set.
const SETTINGS: [(&str, &[&str], &str); 2] = [
    ("ipv4.ip_forward", &["1"], "1"),
    ("ipv4.conf.all.rp_filter", &["0", "2"], "0"),
];

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 109),
    severity: Severity::Error,
    title: "Kernel setting of a node stands in the way",
    why: "Without forwarding no packet leaves the node for another's pods; with strict reverse path filtering those that come back another way are dropped, and nobody counts them.",
    evidence: &[Evidence::Record(Analyzer::Nodes)],
    scope: Scope::Cluster,
    steps: "\
1. On {{target.name}}: sysctl --write net.{{evidence.setting}}={{evidence.wanted}}
2. So that it stays: a file in /etc/sysctl.d, and look for what sets it back.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let mut all = Vec::new();
    let nodes = view.nodes()?;
    for node in &nodes.nodes {
        let Some(seen) = &node.seen else { continue };
        for (setting, right, wanted) in SETTINGS {
            let Some(value) = seen.sysctls.get(setting) else {
                continue;
            };
            if !right.contains(&value.as_str()) {
                let target = Target::new("Node", &node.name, setting);
                let summary = format!("net.{setting} is {value} on {}", node.name);
                let finding = Finding::new(target, summary);
                all.push(
                    finding
                        .because("setting", setting)
                        .because("wanted", wanted),
                );
            }
        }
    }
    all_of("settings", &view.unseen(nodes), all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn wrong_settings_are_told_and_the_loose_filter_is_right() {
        let with = |setting: &str, value: &str| {
            Scene::healthy().nodes(|nodes| {
                let seen = nodes.nodes[0].seen.as_mut().unwrap();
                seen.sysctls.insert(setting.to_owned(), value.to_owned());
            })
        };
        assert_eq!(
            found(&RULE, &with("ipv4.ip_forward", "0")),
            ["Node/node-a/ipv4.ip_forward: net.ipv4.ip_forward is 0 on node-a"]
        );
        assert_eq!(found(&RULE, &with("ipv4.conf.all.rp_filter", "1")).len(), 1);
        assert!(found(&RULE, &with("ipv4.conf.all.rp_filter", "2")).is_empty());
    }
}

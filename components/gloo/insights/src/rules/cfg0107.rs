//! CFG0107: MTU of pods leaves no room for the tunnel.

use gloo_record::{Analyzer, nodes::Node};

use crate::{
    Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View, rule::all_of,
};

/// Of VXLAN over IPv4, in bytes: Ethernet 14, IPv4 20, UDP 8, VXLAN 8.
const HEADER: u32 = 50;

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Cfg, 107),
    severity: Severity::Error,
    title: "MTU of pods leaves no room for the tunnel",
    why: "A full packet of a pod and the tunnel's header together are larger than what the device carries: connections hang once they carry much.",
    evidence: &[
        Evidence::Record(Analyzer::Nodes),
        Evidence::Record(Analyzer::CiliumConfig),
    ],
    scope: Scope::Cluster,
    steps: "\
1. Let the agent measure it: spec.cilium.routing.mtu: Auto
2. Or set it to at most {{{evidence.most}}} bytes.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let nodes = view.nodes()?;
    if view.config()?.get("routing-mode") != Some("tunnel") {
        return Ok(Vec::new());
    }
    let tight = |node: &Node| {
        let seen = node.seen.as_ref()?;
        let known = seen.pod_mtu > 0 && seen.device_mtu > 0;
        let tight = known && seen.pod_mtu + HEADER > seen.device_mtu;
        tight.then_some((seen.pod_mtu, seen.device_mtu))
    };
    let finding = |node: &Node| {
        let (pods, device) = tight(node)?;
        let name = &node.name;
        let summary = format!("pods on {name} have an MTU of {pods}, its device {device}");
        let finding = Finding::new(Target::node(name), summary);
        Some(finding.because("most", device.saturating_sub(HEADER)))
    };
    let found = nodes.nodes.iter().filter_map(finding).collect();
    all_of("MTUs", &view.unseen(nodes), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_packet_that_does_not_fit_the_tunnel_is_told() {
        let with = |mtu| {
            Scene::healthy().nodes(|nodes| {
                nodes.nodes[0].seen.as_mut().unwrap().pod_mtu = mtu;
            })
        };
        assert_eq!(
            found(&RULE, &with(1500)),
            ["Node/node-a: pods on node-a have an MTU of 1500, its device 1500"]
        );
        assert!(found(&RULE, &with(1450)).is_empty());
    }
}

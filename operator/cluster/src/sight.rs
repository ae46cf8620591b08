//! Whether everything a component is judged by has been read.

use std::collections::BTreeSet;

use gloonet_api::MESH_NAMESPACE;
use gloonet_catalog::{ComponentId, component};
use gloonet_plan::Rendered;

use crate::eyes::{Seen, Source};

/// A sentence about what `id` is judged by and has not been read. A kind that the API server does not know yet is not followed,
/// and counts for nothing.
pub fn unread(seen: &Seen, rendered: &Rendered, id: ComponentId) -> Option<String> {
    let mut unread = seen.unread().peekable();
    // Nearly always nothing is, and watches wait for this look.
    unread.peek()?;
    let needed = sources(rendered, id);
    let unread = unread.filter(|source| needed.contains(source));
    let named: Vec<String> = unread.map(ToString::to_string).collect();
    (!named.is_empty()).then(|| format!("{} cannot be read", named.join(", ")))
}

fn sources(rendered: &Rendered, id: ComponentId) -> BTreeSet<Source> {
    // The specification itself is judged by these, and so whatever is rendered from it.
    let mut sources = BTreeSet::from([Source::Nodes, Source::Secrets(MESH_NAMESPACE.to_owned())]);
    for key in rendered.keys(id) {
        // What is probed of a component are its own pods, which are where its workload is.
        if let (true, Some(namespace)) = (key.is_workload(), &key.namespace) {
            sources.insert(Source::Pods(namespace.clone()));
        }
        sources.insert(Source::of(&key));
    }
    if component(id).reads_cilium_nodes() {
        sources.insert(Source::CiliumNodes);
    }
    sources
}

#[cfg(test)]
mod tests {
    use gloonet_api::{CILIUM_NAMESPACE, GlooNetworkSpec};
    use gloonet_catalog::{ClusterFacts, catalog, validate};
    use gloonet_plan::render;

    use super::*;

    /// Components that one unread source leaves without sight, and what is said of them.
    fn blind(source: &Source) -> (Vec<ComponentId>, BTreeSet<String>) {
        let facts = ClusterFacts {
            api_server: Some(("192.0.2.1".to_owned(), 6443)),
            ..ClusterFacts::default()
        };
        let input = validate(&GlooNetworkSpec::named("west"), &facts).unwrap();
        let rendered = render::render(&input);
        let mut seen = Seen::default();
        seen.expect(source);
        let sentence = |id: &ComponentId| unread(&seen, &rendered, *id);
        let blind: Vec<_> = ComponentId::ALL
            .into_iter()
            .filter(|id| sentence(id).is_some())
            .collect();
        let said = blind.iter().filter_map(sentence).collect();
        (blind, said)
    }

    fn ours(group: &str, kind: &str, namespace: &str) -> Source {
        Source::Ours {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        }
    }

    #[test]
    fn one_unreadable_source_blinds_those_it_is_needed_for() {
        use ComponentId::{CiliumAgent, CiliumOperator, Crds, HubbleRelay};
        let kube_system = CILIUM_NAMESPACE.to_owned();
        for (source, wanted) in [
            (
                ours("apps", "DaemonSet", CILIUM_NAMESPACE),
                vec![CiliumAgent],
            ),
            (
                ours("apps", "Deployment", CILIUM_NAMESPACE),
                vec![CiliumOperator, HubbleRelay],
            ),
            (
                ours("apiextensions.k8s.io", "CustomResourceDefinition", ""),
                vec![Crds],
            ),
            (
                Source::Pods(kube_system),
                vec![CiliumOperator, CiliumAgent, HubbleRelay],
            ),
            (Source::CiliumNodes, vec![CiliumOperator, CiliumAgent]),
            (ours("batch", "Job", "gloo-mesh"), vec![]),
        ] {
            assert_eq!(blind(&source).0, wanted, "{source}");
        }
    }

    #[test]
    fn what_the_specification_is_judged_by_blinds_everything() {
        assert_eq!(blind(&Source::Nodes).0.len(), catalog().len());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let (_, said) = blind(&ours("apps", "DaemonSet", CILIUM_NAMESPACE));
        assert_eq!(
            said,
            BTreeSet::from(["DaemonSet in kube-system cannot be read".to_owned()])
        );
    }
}

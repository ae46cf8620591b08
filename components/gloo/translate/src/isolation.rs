//! Service isolation: a workspace's services are for itself and for those it shares them with.

use std::collections::{BTreeMap, BTreeSet};

use gloo_api::labels::is_protected;

use crate::{
    rule::{Origin, PolicyKey, Rule, isolation_name},
    view::View,
    world::{Place, PodPort, Service, Slot},
};

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ServiceAt {
    pub(crate) place: Place,
    pub(crate) port: u16,
}

/// Ports of the pods behind each port of a service. One number can be TCP's and UDP's.
pub(crate) fn ports(service: &Service) -> BTreeMap<u16, BTreeSet<PodPort>> {
    let mut ports: BTreeMap<u16, BTreeSet<PodPort>> = BTreeMap::new();
    for port in &service.ports {
        ports
            .entry(port.number)
            .or_default()
            .insert(port.pod.clone());
    }
    ports
}

/// Whether policies can be made for the pods of a service.
pub(crate) fn closable(slot: &Slot, service: &Service) -> bool {
    !is_protected(&slot.namespace) && !service.selector.is_empty()
}

/// One policy per port of each service, except those `taken` by access policies, which say more exactly who is let in.
pub(crate) fn rules(
    view: &View,
    workspace: &str,
    settings: &Place,
    taken: &BTreeSet<ServiceAt>,
) -> Vec<(PolicyKey, Rule)> {
    let own: BTreeSet<_> = view.accounts(workspace, None).collect();
    let mut rules = Vec::new();
    for (slot, ns) in view.namespaces(workspace) {
        for (name, service) in &ns.services {
            if !closable(slot, service) {
                continue;
            }
            let mut peers = own.clone();
            for importer in view
                .audience(workspace, slot, name, service)
                .into_iter()
                .skip(1)
            {
                peers.extend(view.accounts(importer, None));
            }
            let place = Place {
                slot: slot.clone(),
                name: name.clone(),
            };
            for (port, pods) in ports(service) {
                let at = ServiceAt {
                    place: place.clone(),
                    port,
                };
                if taken.contains(&at) {
                    continue;
                }
                let key = PolicyKey {
                    slot: slot.clone(),
                    name: isolation_name(name, port, workspace),
                };
                let rule = Rule {
                    workspace: workspace.to_owned(),
                    origin: Origin::Settings(settings.clone()),
                    selector: service.selector.clone(),
                    ports: pods,
                    peers: peers.clone(),
                    blocks: BTreeSet::new(),
                };
                rules.push((key, rule));
            }
        }
    }
    rules
}

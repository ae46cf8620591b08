//! Service isolation: a workspace's services are for itself and for those it shares them with.

use std::collections::{BTreeMap, BTreeSet};

use gloo_api::labels::is_protected;

use crate::{
    overlap::{Left, Taken, left},
    rule::{Excluded, Origin, PolicyKey, Rule, isolation_name},
    view::View,
    world::{Namespace, Place, PodPort, Service, Slot},
};

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

/// Some pods of a service, and ports of theirs.
struct Piece {
    except: Excluded,
    ports: BTreeSet<PodPort>,
    /// Lets in nobody.
    closed: bool,
}

/// Ports with the same pods left go together.
fn pieces(
    ns: &Namespace,
    service: &Service,
    ports: BTreeSet<PodPort>,
    taken: &[&Taken],
) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for port in ports {
        let (left, closed) = match left(ns, &service.selector, &port, taken) {
            Left::Pieces(left) => (left, false),
            Left::TooMany => (vec![Excluded::new()], true),
        };
        for except in left {
            let same = |piece: &&mut Piece| piece.except == except && piece.closed == closed;
            if let Some(piece) = pieces.iter_mut().find(same) {
                piece.ports.insert(port.clone());
                continue;
            }
            let ports = [port.clone()].into();
            pieces.push(Piece {
                except,
                ports,
                closed,
            });
        }
    }
    pieces
}

/// One policy per port of each service, for the pods that are not `taken` by access policies, which say more exactly who is
/// let in.
pub(crate) fn rules(
    view: &View,
    workspace: &str,
    settings: &Place,
    taken: &BTreeSet<Taken>,
) -> Vec<(PolicyKey, Rule)> {
    let own: BTreeSet<_> = view.accounts(workspace, None).collect();
    let mut rules = Vec::new();
    for (slot, ns) in view.namespaces(workspace) {
        let taken: Vec<_> = taken.iter().filter(|taken| taken.slot == *slot).collect();
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
            for (port, pods) in ports(service) {
                let pieces = pieces(ns, service, pods, &taken);
                for (number, piece) in pieces.into_iter().enumerate() {
                    let key = PolicyKey {
                        slot: slot.clone(),
                        name: isolation_name(name, port, workspace, number),
                    };
                    let rule = Rule {
                        workspace: workspace.to_owned(),
                        origin: Origin::Settings(settings.clone()),
                        selector: service.selector.clone(),
                        except: piece.except,
                        ports: piece.ports,
                        peers: if piece.closed {
                            BTreeSet::new()
                        } else {
                            peers.clone()
                        },
                        blocks: BTreeSet::new(),
                    };
                    rules.push((key, rule));
                }
            }
        }
    }
    rules
}

//! What is known of the cluster: identities, nodes, Services, CIDR groups.

use std::collections::{BTreeMap, BTreeSet};

use cilium_api::{LabelSet, NumericIdentity};
use ipnet::Ipv4Net;

use crate::{
    fault::{Fault, Faults},
    input::{CidrGroupName, NamedPorts, Node, Service, ServiceName},
    rule::{Addresses, Reach},
    selector::{LabelSelector, Scope},
};

#[derive(Debug, Default)]
pub(crate) struct Cluster {
    identities: BTreeMap<u32, LabelSet>,
    /// Identities by namespace, so that a selector of one namespace does not ask those of all others.
    by_namespace: BTreeMap<String, BTreeSet<u32>>,
    pub(crate) faults: Faults,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) services: BTreeMap<ServiceName, Service>,
    pub(crate) groups: BTreeMap<CidrGroupName, Group>,
    named_ports: BTreeMap<u32, NamedPorts>,
    /// The same by name and protocol.
    by_port_name: BTreeMap<(String, u8), BTreeMap<u32, BTreeSet<u16>>>,
}

/// A CiliumCIDRGroup that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) networks: BTreeSet<Ipv4Net>,
}

/// Networks with their exceptions, and which of their addresses are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cover(pub(crate) Vec<(Ipv4Net, BTreeSet<Ipv4Net>, Reach)>);

impl Cover {
    /// Every prefix that has to be registered for it.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = Ipv4Net> + '_ {
        let each = |(network, except, _): &(Ipv4Net, BTreeSet<Ipv4Net>, Reach)| {
            let mut all = except.clone();
            all.insert(*network);
            all
        };
        self.0.iter().flat_map(each)
    }
}

impl Cluster {
    /// With the reserved identities, whose labels say what they are.
    pub(crate) fn new(host_runs_apiserver: bool) -> Self {
        let mut cluster = Self::default();
        for number in 1..=NumericIdentity::INGRESS.0 {
            let name = NumericIdentity(number).reserved_name();
            let mut names: Vec<&str> = name.into_iter().collect();
            if number == NumericIdentity::KUBE_APISERVER.0 {
                names.push("remote-node");
            }
            if number == NumericIdentity::HOST.0 && host_runs_apiserver {
                names.push("kube-apiserver");
            }
            let labels = names
                .iter()
                .map(|n| (format!("reserved:{n}"), String::new()));
            cluster.identities.insert(number, labels.collect());
        }
        cluster
    }

    pub(crate) fn labels(&self, identity: u32) -> Option<&LabelSet> {
        self.identities.get(&identity)
    }

    /// Returns the labels it had.
    pub(crate) fn set_labels(
        &mut self,
        identity: u32,
        labels: Option<LabelSet>,
    ) -> Option<LabelSet> {
        if let Some(namespace) = labels.as_ref().and_then(LabelSet::namespace) {
            let there = self.by_namespace.entry(namespace.to_owned()).or_default();
            there.insert(identity);
        }
        let old = match labels {
            Some(labels) => self.identities.insert(identity, labels),
            None => self.identities.remove(&identity),
        };
        let was = old.as_ref().and_then(LabelSet::namespace);
        let is = self.labels(identity).and_then(LabelSet::namespace);
        if let Some(namespace) = was.filter(|n| is != Some(*n))
            && let Some(there) = self.by_namespace.get_mut(namespace)
        {
            there.remove(&identity);
        }
        old
    }

    /// Identities a selector chooses.
    pub(crate) fn chosen(&self, selector: &LabelSelector) -> BTreeSet<u32> {
        let matching = |number: &u32| self.labels(*number).is_some_and(|l| selector.matches(l));
        match &selector.scope {
            Scope::Namespace(name) => {
                let there = self.by_namespace.get(name);
                there
                    .into_iter()
                    .flatten()
                    .copied()
                    .filter(matching)
                    .collect()
            }
            Scope::Pods | Scope::Everything => {
                self.identities.keys().copied().filter(matching).collect()
            }
        }
    }

    /// Whether anything changed.
    pub(crate) fn set_named_ports(&mut self, identity: u32, ports: NamedPorts) -> bool {
        let old = self.named_ports.remove(&identity).unwrap_or_default();
        let changed = old != ports;
        for name in old.keys() {
            if let Some(there) = self.by_port_name.get_mut(name) {
                there.remove(&identity);
                if there.is_empty() {
                    self.by_port_name.remove(name);
                }
            }
        }
        for (name, numbers) in &ports {
            let there = self.by_port_name.entry(name.clone()).or_default();
            there.insert(identity, numbers.clone());
        }
        if !ports.is_empty() {
            self.named_ports.insert(identity, ports);
        }
        changed
    }

    /// What identities call a port so, with its numbers.
    pub(crate) fn named(&self, name: &str, protocol: u8) -> Option<&BTreeMap<u32, BTreeSet<u16>>> {
        self.by_port_name.get(&(name.to_owned(), protocol))
    }

    fn group(&self, name: &str) -> Option<&Group> {
        if self.faults.has(Fault::NamesArePatterns) {
            let mut meant = self
                .groups
                .iter()
                .filter(|(known, _)| known.starts_with(name));
            return meant.next().map(|(_, group)| group);
        }
        self.groups.get(name)
    }

    /// The networks a selector of addresses stands for now. What is not known stands for none.
    pub(crate) fn cover(&self, addresses: &Addresses) -> Cover {
        let single =
            |address: &std::net::Ipv4Addr, reach| (Ipv4Net::from(*address), BTreeSet::new(), reach);
        Cover(match addresses {
            Addresses::Network {
                network,
                except,
                reach,
            } => vec![(*network, within(except, *network), *reach)],
            Addresses::Group { name, except } => match self.group(name) {
                Some(group) => group.without(except),
                None if self.faults.has(Fault::UnknownGroupIsEveryone) => {
                    vec![(Ipv4Net::default(), BTreeSet::new(), Reach::Everywhere)]
                }
                None => Vec::new(),
            },
            Addresses::Groups { selector, except } => {
                let groups = self
                    .groups
                    .values()
                    .filter(|g| selector.matches_object(&g.labels));
                groups.flat_map(|g| g.without(except)).collect()
            }
            Addresses::Nodes(selector) => {
                let nodes = self
                    .nodes
                    .values()
                    .filter(|n| selector.matches_object(&n.labels));
                nodes
                    .flat_map(|n| n.addresses.iter().map(|a| single(a, Reach::Cluster)))
                    .collect()
            }
            Addresses::Service(name) => self
                .services
                .get(name)
                .map(Service::cover)
                .unwrap_or_default(),
            Addresses::Services {
                selector,
                namespace,
            } => {
                let meant =
                    |name: &ServiceName| namespace.as_ref().is_none_or(|n| *n == name.namespace);
                let services = self
                    .services
                    .iter()
                    .filter(|(name, s)| meant(name) && selector.matches_object(&s.labels));
                services.flat_map(|(_, s)| s.cover()).collect()
            }
        })
    }
}

impl Group {
    fn without(&self, except: &BTreeSet<Ipv4Net>) -> Vec<(Ipv4Net, BTreeSet<Ipv4Net>, Reach)> {
        let networks = self.networks.iter();
        networks
            .map(|network| (*network, within(except, *network), Reach::World))
            .collect()
    }
}

/// The exceptions that take something from a network. One that is wider takes all of it.
fn within(except: &BTreeSet<Ipv4Net>, network: Ipv4Net) -> BTreeSet<Ipv4Net> {
    except
        .iter()
        .copied()
        .filter(|e| network.contains(e) || e.contains(&network))
        .collect()
}

impl Service {
    fn cover(&self) -> Vec<(Ipv4Net, BTreeSet<Ipv4Net>, Reach)> {
        let reach = if self.has_selector {
            Reach::Cluster
        } else {
            Reach::Everywhere
        };
        let addresses = self.backends.iter();
        addresses
            .map(|address| (Ipv4Net::from(*address), BTreeSet::new(), reach))
            .collect()
    }
}
